import { chainOf, finder } from '../../../core/chain.ts';
import type { Known, Manifest, RestoreRequest, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { parted, tellApart } from '../../../core/postgres/apart.ts';
import { knownTo } from '../../../core/postgres/chunks.ts';
import { formatLsn, parseLsn, parseSegment, segmentStart } from '../../../core/postgres/lsn.ts';
import { type Archive, type Base, baseForLsn, baseForTime, newestBase, onward, type Reach, reachOf } from '../../../core/postgres/plan.ts';
import { archiveOf, type Holdings, holdingsOf, readFirstWhole } from './archive.ts';
import { isWalg } from './base.ts';
import { readOpen } from './chunks.ts';
import { type Commit, lastCommit } from './commits.ts';
import type { PostgresConfig } from './config.ts';
import { knownLineages } from './lineage.ts';

type Context = TargetContext<PostgresConfig>;

/** What a restore will do, decided before anything changes. */
export interface RestorePlan {
  known: Known;
  lineage: string;
  reach: Reach;
  held: Holdings;
  /** recovery_target* of PostgreSQL; empty = to the end of the WAL. */
  target: Readonly<Record<string, string>>;
  /** Newest commit within reach; looked up only when a time was asked for. */
  last?: Commit;
  /** Ids of the bases before the chosen one, newest first, three at most. */
  older: readonly string[];
  /** What it builds on, oldest first; empty for a full one, and for WAL-G, which knows by itself. */
  parents: readonly Known[];
}

/** A backup as the planner needs it; none for one without WAL. */
export const baseOf = ({ manifest }: Known): Base[] =>
  manifest.wal
    ? [
        {
          id: manifest.id,
          endedAt: new Date(manifest.recoveryPointAt),
          timeline: manifest.wal.timeline,
          from: parseLsn(manifest.wal.from),
          to: parseLsn(manifest.wal.to),
          segmentBytes: manifest.wal.segmentBytes,
          ...(manifest.wal.hash === undefined ? {} : { hash: manifest.wal.hash }),
        },
      ]
    : [];

/**
 * The plain bytes of a file that a plan may need: a whole copy, or its chunks up to where the plan ends, padded with zeros. Of a segment
 * that the base has more of inside, the chunks are not read.
 * @returns undefined when no store has it
 */
export async function readPlanned(
  ctx: Context,
  { lineage, reach, held }: Pick<RestorePlan, 'lineage' | 'reach' | 'held'>,
  name: string,
): Promise<Buffer | undefined> {
  const copies = held.copies.get(name);
  if (copies) return readFirstWhole(ctx, lineage, copies);
  const chunks = held.chunks.get(name);
  if (!chunks || !reach.segments.includes(name)) return undefined;
  const size = reach.base.segmentBytes;
  const start = segmentStart(parseSegment(name, size)!.number, size);
  const end = Math.min(size, Number(reach.end - start));
  if (knownTo(chunks) < end) return undefined;
  try {
    return await readOpen(ctx, lineage, chunks, end, size);
  } catch (error) {
    if (!(error instanceof BkpError && error.exit === 'notFound')) throw error;
    // The stream merged the segment, or joined its chunks, since the stores were listed.
    const fresh = await holdingsOf(ctx, lineage, name);
    const merged = fresh.copies.get(name);
    return merged ? readFirstWhole(ctx, lineage, merged) : readOpen(ctx, lineage, fresh.chunks.get(name) ?? chunks, end, size);
  }
}

const oldest = (bases: readonly Base[]): Base => bases.reduce((a, b) => (a.endedAt < b.endedAt ? a : b));

function pick(want: RestoreRequest['want'], bases: readonly Base[]): Base | undefined {
  if (want.time) return baseForTime(bases, want.time);
  return want.lsn ? baseForLsn(bases, parseLsn(want.lsn)) : newestBase(bases);
}

function choose(ctx: Context, want: RestoreRequest['want'], bases: readonly Base[]): Base {
  const who = `postgres/${ctx.name}`;
  if (bases.length === 0) {
    throw new BkpError(
      'notFound',
      `${who} has no backup${want.backup && want.backup !== 'latest' ? ` ${want.backup}` : ''} in ${ctx.stores.map(s => s.name).join(', ')}`,
      { next: `bkp list postgres ${ctx.name}` },
    );
  }
  const first = oldest(bases);
  const base = pick(want, bases);
  if (base) return base;
  if (want.time) {
    throw new BkpError(
      'refused',
      `${who} cannot be brought to ${want.time.toISOString()}: the window begins at ${first.endedAt.toISOString()}, when ${want.backup ? 'that' : 'the oldest'} backup (${first.id}) had ended`,
      {
        next: `the nearest reachable time is ${first.endedAt.toISOString()}: --from-backup ${first.id}`,
      },
    );
  }
  throw new BkpError(
    'refused',
    `${who} cannot be brought to LSN ${want.lsn}: the window begins at ${formatLsn(first.to)}, the end of backup ${first.id}`,
    { next: `--target-lsn ${formatLsn(first.to)} or later` },
  );
}

function targetOf(want: RestoreRequest['want']): Record<string, string> {
  if (want.time) return { recovery_target_time: want.exact ?? want.time.toISOString().replace('T', ' ').replace('Z', '+00') };
  if (want.lsn) return { recovery_target_lsn: want.lsn };
  if (want.xid) return { recovery_target_xid: want.xid };
  if (want.point) return { recovery_target_name: want.point };
  if (want.backup && !want.latest) return { recovery_target: 'immediate' };
  return {};
}

/** An instant in microseconds as sortable text. */
const micros = (text: string): string => {
  const [, day, time, fraction = ''] = /^(\S{10})[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?/.exec(text)!;
  return `${day} ${time}.${fraction.slice(0, 6).padEnd(6, '0')}`;
};

const wanted = (want: RestoreRequest['want']): string => micros(want.exact ?? want.time!.toISOString());

function refuseBehind(ctx: Context, want: RestoreRequest['want'], plan: RestorePlan): void {
  const { reach } = plan;
  const hole = reach.hole ? `; WAL ${reach.hole} is missing in every store although later WAL is there` : '';
  if (want.lsn && parseLsn(want.lsn) > reach.end) {
    throw new BkpError(
      'refused',
      `postgres/${ctx.name} cannot be brought to LSN ${want.lsn}: the WAL in the stores ends at ${formatLsn(reach.end)}${hole}`,
      { next: `--target-lsn ${formatLsn(reach.end)} or earlier, or --latest` },
    );
  }
  if (want.time && plan.last && wanted(want) > micros(plan.last.text)) {
    throw new BkpError(
      'refused',
      `postgres/${ctx.name} cannot be brought to ${want.time.toISOString()}: the last commit within reach is of ${plan.last.text}${hole}`,
      {
        next: [
          `the window is ${reach.base.endedAt.toISOString()} to ${plan.last.at.toISOString()} on top of backup ${reach.base.id}`,
          '--latest brings back everything up to that commit',
        ],
      },
    );
  }
  if (!want.time && Object.keys(plan.target).length === 0 && reach.hole) {
    throw new BkpError(
      'refused',
      `postgres/${ctx.name}: WAL ${reach.hole} is missing in every store although later WAL is there: "latest" would end at the hole`,
      {
        next: [
          `--target-lsn ${formatLsn(reach.end)} brings back what is before the hole`,
          'a newer backup, taken after the hole, reaches further: bkp list postgres',
        ],
      },
    );
  }
}

/** A base whose lineage is of another cluster than itself says two things at once, and is none of this target's. */
const isOwn = ({ wal, lineage, identity }: Manifest): boolean =>
  wal !== undefined && lineage !== undefined && identity['systemIdentifier'] === lineage.split('-')[0];

/**
 * Those of which all that they build on is there, too. The others are told.
 * @throws BkpError('verifyFailed') when the one that was asked for is none of them
 */
function founded(ctx: Context, want: RestoreRequest['want'], usable: readonly Known[], known: readonly Known[]): Known[] {
  const find = finder(known.map(({ manifest }) => manifest));
  return usable.filter(({ manifest }) => {
    const [gone] = isWalg(manifest) ? [] : chainOf(manifest, find).missing;
    if (!gone) return true;
    const text = `backup ${manifest.id} builds on backup ${gone}, which is in none of ${ctx.stores.map(({ name }) => name).join(', ')}`;
    if (want.backup === manifest.id) throw new BkpError('verifyFailed', text, { next: `bkp list postgres ${ctx.name}` });
    ctx.report.emit({ type: 'warning', text: `${text}: it is left out` });
    return false;
  });
}

/** What a backup builds on, oldest first. */
function parentsIn({ manifest }: Known, known: readonly Known[]): Known[] {
  if (isWalg(manifest)) return [];
  const { members } = chainOf(manifest, finder(known.map(each => each.manifest)));
  return members.map(member => known.find(each => each.manifest === member)!);
}

const namesBackup = ({ backup }: RestoreRequest['want']): boolean => backup !== undefined && backup !== 'latest';

/**
 * The base from which to go on. One that is asked for to its own end needs nothing of the archive, so it may be of whatever history.
 * @param first what would be chosen by the times alone
 * @throws BkpError('refused') where the WAL goes on from none
 */
function suited(
  ctx: Context,
  want: RestoreRequest['want'],
  { first, bases, lineage }: { first: Base; bases: readonly Base[]; lineage: string },
  archive: Archive,
): Base {
  const { own, apart } = parted(bases, archive.hashes);
  const strange = apart.find(({ id }) => id === first.id);
  const alone = namesBackup(want) && targetOf(want)['recovery_target'] === 'immediate';
  const base = alone ? first : (pick(want, onward(own, archive)) ?? own.find(({ id }) => id === first.id) ?? pick(want, own));
  if (strange && base)
    ctx.report.emit({ type: 'warning', text: `${tellApart(strange, lineage)}: it is ${alone ? 'restored to its own end' : 'left out'}` });
  if (base) return base;
  throw new BkpError('refused', `postgres/${ctx.name}: ${tellApart(strange ?? first, lineage)}: nothing there goes on from it`, {
    next: [`--from-backup ${first.id} brings back what that backup has inside`, `bkp list postgres ${ctx.name} --window`],
  });
}

/** A cluster that went on after a restore in place and was lost before its next backup: "the latest" would be a state that was left before. */
async function tellUnfounded(ctx: Context, lineage: string, base: Base, known: readonly Known[]): Promise<void> {
  const records = await knownLineages(ctx).catch(error => {
    ctx.signal.throwIfAborted();
    ctx.report.emit({ type: 'warning', text: `whether a newer lineage was begun is not known: ${sentence(error)}` });
    return new Map<string, never>();
  });
  for (const each of records.values()) {
    const isLater = each.systemIdentifier === lineage.split('-')[0] && new Date(each.createdAt) > base.endedAt;
    if (!isLater || known.some(({ manifest }) => manifest.lineage === each.lineage)) continue;
    const origin = each.parent ? `, restored from ${each.parent.lineage} at LSN ${each.parent.lsn},` : '';
    const text = `lineage ${each.lineage}${origin} was begun ${each.createdAt} and has no backup: nothing that was written in it comes back`;
    ctx.report.emit({ type: 'warning', text });
  }
}

/** Decides which backup and which WAL bring the cluster to what was asked for. Throws BkpError('refused' | 'notFound') naming the window. */
export async function planRestore(ctx: Context, { want }: Pick<RestoreRequest, 'want'>, known: readonly Known[]): Promise<RestorePlan> {
  const asked = known.filter(({ manifest }) => isOwn(manifest) && (!namesBackup(want) || manifest.id === want.backup));
  const usable = founded(ctx, want, asked, known);
  const first = choose(ctx, want, usable.flatMap(baseOf));
  const lineage = usable.find(({ manifest }) => manifest.id === first.id)!.manifest.lineage!;
  const held = await holdingsOf(ctx, lineage);
  for (const { store, reason } of held.unreachable) ctx.report.emit({ type: 'warning', text: `store ${store} does not answer: ${reason}` });
  const target = targetOf(want);
  const archive = await archiveOf(ctx, lineage, held);
  const ofLineage = usable.filter(({ manifest }) => manifest.lineage === lineage);
  const base = suited(ctx, want, { first, bases: ofLineage.flatMap(baseOf), lineage }, archive);
  const chosen = usable.find(({ manifest }) => manifest.id === base.id)!;
  const ownPath = [{ timeline: base.timeline, from: 0n }];
  const reach =
    target['recovery_target'] === 'immediate'
      ? { ...reachOf(base, { segments: new Set(), histories: new Map() }, ownPath) }
      : reachOf(base, archive);
  const older = known.filter(({ manifest }) => manifest.wal && manifest.recoveryPointAt < chosen.manifest.recoveryPointAt);
  const plan: RestorePlan = {
    known: chosen,
    lineage,
    reach,
    held,
    target,
    older: older
      .slice(-3)
      .reverse()
      .map(({ manifest }) => manifest.id),
    parents: parentsIn(chosen, known),
  };
  if (!namesBackup(want)) await tellUnfounded(ctx, lineage, base, known);
  if (want.time) plan.last = await lastCommit(ctx, plan);
  refuseBehind(ctx, want, plan);
  // PostgreSQL stops at a time only before a later commit. Where none is within reach, the end of the WAL is that very state.
  if (want.time && plan.last && wanted(want) === micros(plan.last.text)) return { ...plan, target: {} };
  return plan;
}
