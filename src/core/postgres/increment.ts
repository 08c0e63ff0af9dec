import { chainOf, finder } from '../chain.ts';
import type { Known, LineageId, Manifest, PieceRef } from '../contracts.ts';
import { clockOf, PERIODS, type WeekStart } from '../retention/periods.ts';

/** How often a full one is due, and how many backups a restore combines at most. */
export interface IncrementPolicy {
  full: 'daily' | 'weekly' | 'monthly';
  maxChain: number;
}

/** What the server says of itself, as far as increments go. */
export interface IncrementSource {
  lineage: LineageId;
  /** Major version. */
  major: number;
  /** summarize_wal */
  summarizes: boolean;
}

/** When and where the choice is made. */
export interface IncrementFrame {
  now: Date;
  /** IANA name of the zone in which days, weeks and months are counted. */
  zone: string;
  weekStart: WeekStart;
}

/** What an increment is made from: `members` are all that a restore of it needs, oldest first, the parent last; `piece` its backup_manifest. */
export interface Parent {
  parent: Manifest;
  members: readonly Manifest[];
  piece: PieceRef;
}

/** `fallback` = an increment was due, and this is why there is none. */
export type Choice = { base: 'full'; reason: string; fallback: boolean } | ({ base: 'incremental' } & Parent);

/** The first server that makes increments. */
export const FIRST_MAJOR = 17;

/** Piece in which a backup keeps its backup_manifest for the next one. */
export const OWN_MANIFEST = 'backup_manifest.own';

/** The piece that an increment is made from; undefined where a backup keeps none. */
export const ownManifest = ({ pieces }: Manifest): PieceRef | undefined => {
  const piece = pieces.find(({ name }) => name === OWN_MANIFEST);
  return piece && 'objects' in piece ? piece : undefined;
};

const full = (reason: string): Choice => ({ base: 'full', reason, fallback: false });
const instead = (reason: string): Choice => ({ base: 'full', reason, fallback: true });

/** What may be built on, oldest first: trusted bases of this engine that began by now. */
const candidates = (known: readonly Known[], now: Date): Manifest[] =>
  known
    .map(({ manifest }) => manifest)
    .filter(({ wal, engine, anomaly, startedAt }) => wal && engine === 'native' && !anomaly && new Date(startedAt) <= now)
    .sort((a, b) => a.startedAt.localeCompare(b.startedAt));

function isDue(root: Manifest, { full: period }: IncrementPolicy, { now, zone, weekStart }: IncrementFrame): boolean {
  const clock = clockOf(zone);
  const keyOf = (at: Date): number => PERIODS[period].key(clock(at), weekStart);
  return keyOf(new Date(root.startedAt)) !== keyOf(now);
}

function onto(parent: Manifest, members: readonly Manifest[], source: IncrementSource, policy: IncrementPolicy): Choice {
  if (source.major < FIRST_MAJOR) return instead(`the server is PostgreSQL ${source.major}, and increments need ${FIRST_MAJOR} or newer`);
  if (!source.summarizes)
    return instead("summarize_wal is off on the server: ALTER SYSTEM SET summarize_wal = 'on'; SELECT pg_reload_conf();");
  if (members.length >= policy.maxChain)
    return instead(`the chain has ${members.length} backups already, and maxChain is ${policy.maxChain}`);
  const piece = ownManifest(parent);
  if (!piece) return instead(`backup ${parent.id} keeps no backup_manifest to build on: it was taken before increments were configured`);
  return { base: 'incremental', parent, members, piece };
}

/**
 * Chooses between a full backup and one that holds what changed since the one before. Pure. The first backup of each period is a full one;
 * each later one is made from the newest, so that a chain never leaves its period.
 * @param known the catalog of the target, in any order
 * @param forced the person wants a full one
 */
export function chooseBase(
  source: IncrementSource,
  known: readonly Known[],
  policy: IncrementPolicy | undefined,
  frame: IncrementFrame,
  forced = false,
): Choice {
  if (forced) return full('a full one was asked for');
  if (!policy) return full('no increments are configured');
  const bases = candidates(known, frame.now);
  const last = bases.at(-1);
  if (!last) return full('there is nothing yet to build on');
  const parent = bases.findLast(({ lineage }) => lineage === source.lineage);
  if (!parent) return instead(`backup ${last.id} is of lineage ${last.lineage}, and the server is of lineage ${source.lineage}`);
  const { members, missing } = chainOf(parent, finder(known.map(({ manifest }) => manifest)));
  const [gone] = missing;
  if (gone) return instead(`backup ${parent.id} builds on ${gone}, which is in no store`);
  if (isDue(members[0] ?? parent, policy, frame)) return full(`the first of its period (full: ${policy.full})`);
  return onto(parent, [...members, parent], source, policy);
}
