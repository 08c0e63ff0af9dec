import type { Finding, Store, StoreLook, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { parted, tellApart } from '../../../core/postgres/apart.ts';
import { rollingBases } from '../../../core/postgres/expiry.ts';
import { type Hole, holesOf, type LostHistory, lostHistory } from '../../../core/postgres/holes.ts';
import { formatLsn, historyName } from '../../../core/postgres/lsn.ts';
import type { Archive, Base } from '../../../core/postgres/plan.ts';
import { archiveOf, contentsOf, openIn, readWal, type WalObject, walObjectOf, walStores } from './archive.ts';
import { baseOf } from './choose.ts';
import { type Chunk, chunkAt, chunksByName, readChunk } from './chunks.ts';
import type { PostgresConfig } from './config.ts';
import { knownLineages } from './lineage.ts';
import { keptBase } from './logKeep.ts';
import { type Adopted, adoptedOf, walAt } from './walg/layout.ts';

type Context = TargetContext<PostgresConfig>;

/** The least that a signed header and an empty frame take: what is shorter was cut. */
const LEAST = 100;
/** A history of one line, compressed and without a header of ours. */
const LEAST_WALG = 20;

export const owns = (path: string): boolean =>
  /^(wal\/\d+-\d+\/([0-9A-F]{8}\/([0-9A-F]{24}\/)?[^/]+|heartbeat\.json)|lineages\/\d+-\d+\.json|walg\/\d+-\d+\/.+)$/.test(path);

const lineageOf = (base: string, adopted: Adopted | undefined, key: string): string | undefined =>
  key.startsWith(`${base}/wal/`) ? key.slice(base.length + '/wal/'.length).split('/')[0] : walAt(base, adopted, key)?.lineage;

/** What one store has of a lineage. */
interface Stored {
  objects: WalObject[];
  chunks: Chunk[];
}

/** Archived files and chunks of one store by lineage. */
function byLineage(ctx: Context, look: StoreLook): Map<string, Stored> {
  const found = new Map<string, Stored>();
  const adopted = adoptedOf(
    ctx,
    look.known.map(({ manifest }) => manifest),
  );
  for (const info of look.objects) {
    const lineage = lineageOf(ctx.base, adopted, info.key);
    if (lineage === undefined) continue;
    const object = walObjectOf(look.store, info);
    const chunk = object ? undefined : chunkAt(look.store, info);
    if (!object && !chunk) continue;
    const stored = found.get(lineage) ?? { objects: [], chunks: [] };
    if (object) stored.objects.push(object);
    if (chunk) stored.chunks.push(chunk);
    found.set(lineage, stored);
  }
  return found;
}

const missing = (hole: Hole): string =>
  hole.segments === 1 ? `WAL ${hole.first} is missing` : `WAL ${hole.first} to ${hole.last} (${hole.segments} segments) is missing`;

/** Ids of the backups that the window wants rolled forward; undefined = all. Older ones are restored to their own end, and prune takes their WAL. */
function rolledForward(look: StoreLook, lineage: string): ReadonlySet<string> | undefined {
  if (!look.cutoff) return undefined;
  const own = look.known.filter(({ manifest }) => manifest.lineage === lineage);
  const bases = own.flatMap(({ manifest }) => keptBase({ manifest, guarded: false }));
  return new Set(rollingBases(bases, look.cutoff).map(({ id }) => id));
}

function findingOf(store: string, lineage: string, hole: Hole, rolled: ReadonlySet<string> | undefined): Finding {
  const text = `${missing(hole)} in lineage ${lineage}`;
  if (hole.breaks.length === 0) return { store, state: 'note', text: `${text}, before the oldest backup: nothing that is kept needs it` };
  const breaks = hole.breaks.filter(({ id }) => !rolled || rolled.has(id));
  if (breaks.length === 0)
    return { store, state: 'note', text: `${text}, before the window: the backups there are restored to their own end` };
  const until = hole.next ? `the end of backup ${hole.next.id} (${hole.next.endedAt.toISOString()})` : 'the next backup';
  return {
    store,
    state: 'missing',
    text: `${text}: no instant between LSN ${formatLsn(hole.from)} and ${until} can be reached`,
    breaks: breaks.map(base => `backup ${base.id} can be rolled forward to LSN ${formatLsn(hole.from)} only`),
  };
}

function historyFinding(
  store: string,
  lineage: string,
  { timeline, breaks }: LostHistory,
  rolled: ReadonlySet<string> | undefined,
): Finding {
  const text = `${historyName(timeline)} of lineage ${lineage} is missing: where timeline ${timeline} began is not known`;
  const broken = breaks.filter(({ id }) => !rolled || rolled.has(id));
  if (broken.length === 0) return { store, state: 'note', text: `${text}; the backups before it are restored to their own end` };
  return {
    store,
    state: 'missing',
    text,
    breaks: broken.map(base => `backup ${base.id} cannot be rolled forward to timeline ${timeline}`),
  };
}

/** Once the original has a newer one, it stands in nobody's way. */
function apartFinding(store: string, lineage: string, base: Base, own: readonly Base[]): Finding {
  const text = `${tellApart(base, lineage)}: a copy of the server took it, or the server was set back`;
  if (own.some(({ endedAt }) => endedAt > base.endedAt))
    return { store, state: 'note', text: `${text}; a newer backup is of that history` };
  return { store, state: 'damaged', text, breaks: [`backup ${base.id} is restored to its own end only`] };
}

/** Histories are sealed: a host that only backs up sees the timelines of the bases alone, and says so. */
async function archiveIn(ctx: Context, lineage: string, { objects, chunks }: Stored): Promise<{ archive: Archive; unread?: string }> {
  const copies = new Map<string, WalObject[]>();
  for (const object of objects) copies.set(object.name, [...(copies.get(object.name) ?? []), object]);
  const held = { copies, chunks: chunksByName(chunks) };
  try {
    return { archive: await archiveOf(ctx, lineage, held) };
  } catch (error) {
    const segments = new Set([...copies.keys()].filter(name => /^[0-9A-F]{24}$/.test(name)));
    return { archive: { segments, ...openIn(held), histories: new Map(), hashes: contentsOf(copies) }, unread: sentence(error) };
  }
}

async function* holes(ctx: Context, look: StoreLook, lineage: string, stored: Stored): AsyncGenerator<Finding> {
  const store = look.store.name;
  const { archive, unread } = await archiveIn(ctx, lineage, stored);
  if (unread) yield { store, state: 'unproven', text: `the timelines of lineage ${lineage} could not be followed: ${unread}` };
  const bases = look.known.filter(({ manifest }) => manifest.lineage === lineage).flatMap(baseOf);
  const rolled = rolledForward(look, lineage);
  const { own, apart } = parted(bases, archive.hashes);
  for (const base of apart) yield apartFinding(store, lineage, base, own);
  for (const hole of holesOf(own, archive)) yield findingOf(store, lineage, hole, rolled);
  const lost = unread ? undefined : lostHistory(own, archive);
  if (lost) yield historyFinding(store, lineage, lost, rolled);
}

/** One name with two contents is two clusters in one archive: recovery could read either. */
function* twice(store: string, lineage: string, objects: readonly WalObject[]): Generator<Finding> {
  const first = new Map<string, WalObject>();
  for (const object of objects) {
    const other = first.get(object.name);
    if (!other) first.set(object.name, object);
    else if (other.hash !== object.hash && !other.walg && !object.walg) {
      const text = `WAL ${object.name} of lineage ${lineage} is there twice, with different contents`;
      yield { store, state: 'damaged', key: object.key, text, breaks: ['every restore that replays it'] };
    }
  }
}

/**
 * Whether the store has, in place of a chunk that was listed and is gone, the whole segment or a chunk that covers it: a stream that runs joins
 * its chunks while they are looked at.
 */
export async function isJoined(store: Store, { key, name, from, to }: Chunk): Promise<boolean> {
  for await (const info of store.list(key.slice(0, key.lastIndexOf('/')))) {
    if (walObjectOf(store, info)?.name === name) return true;
    const other = chunkAt(store, info);
    if (other && other.key !== key && other.from <= from && other.to >= to) return true;
  }
  return false;
}

const isGone = (error: unknown): boolean => error instanceof BkpError && error.exit === 'notFound';

async function* contents(ctx: Context, look: StoreLook, lineage: string, { objects, chunks }: Stored): AsyncGenerator<Finding> {
  const store = look.store.name;
  for (const object of [...objects, ...chunks]) {
    const { key } = object;
    if (object.bytes < ('walg' in object ? LEAST_WALG : LEAST))
      yield { store, state: 'damaged', key, text: `${key} has ${object.bytes} bytes: it was cut short` };
    else if (look.deep(key)) {
      try {
        await ('to' in object ? readChunk(ctx, lineage, object) : readWal(ctx, lineage, object));
      } catch (error) {
        if ('to' in object && isGone(error) && (await isJoined(look.store, object))) continue;
        const cannot = error instanceof BkpError && error.exit === 'usage';
        yield { store, state: cannot ? 'unproven' : stateOf(error), key, text: sentence(error) };
        if (cannot) return;
      }
    }
  }
}

const stateOf = (error: unknown): Finding['state'] =>
  error instanceof BkpError && error.exit === 'storeUnreachable' ? 'unreachable' : 'damaged';

/** WAL of one store: holes with what they break, contents, double names, and the signatures of the lineages. */
export async function* verify(ctx: Context, look: StoreLook): AsyncGenerator<Finding> {
  const store = look.store.name;
  try {
    await knownLineages(ctx, [look.store]);
  } catch (error) {
    yield { store, state: stateOf(error), text: sentence(error) };
  }
  if (ctx.config.engine === 'wal-g') yield* (await import('./walg/verify.ts')).verifyWalg(ctx, look);
  if (!walStores(ctx).includes(look.store)) return;
  for (const [lineage, stored] of byLineage(ctx, look)) {
    yield* holes(ctx, look, lineage, stored);
    yield* twice(store, lineage, stored.objects);
    yield* contents(ctx, look, lineage, stored);
  }
}
