import type { Id, Known, LineageId, StoreLook, TargetContext, WindowGap, WindowLine, Windows } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import { parted, tellApart } from '../../../core/postgres/apart.ts';
import { rollingBases } from '../../../core/postgres/expiry.ts';
import type { Hole } from '../../../core/postgres/holes.ts';
import { formatLsn, segmentAt, segmentName } from '../../../core/postgres/lsn.ts';
import { type Archive, type Base, newestBase } from '../../../core/postgres/plan.ts';
import { type Window, windowsOf } from '../../../core/postgres/windows.ts';
import { archiveOf, contentsOf, openIn, type WalObject, walObjectOf, walStores } from './archive.ts';
import { baseOf } from './choose.ts';
import { type Chunk, chunkAt, chunksByName } from './chunks.ts';
import { lastCommit } from './commits.ts';
import type { PostgresConfig } from './config.ts';
import { knownLineages, type Lineage } from './lineage.ts';
import { keptBase } from './logKeep.ts';
import { chunksByLineage, type StoredWal, walByLineage } from './walFiles.ts';
import { adoptedOf } from './walg/layout.ts';

type Context = TargetContext<PostgresConfig>;
type Note = Windows['notes'][number];

/** Segments that are looked through, from the end, for the last commit: an idle server closes many without any. */
const LOOK_BACK = 16;

/** What one store holds of one lineage. */
interface Part {
  look: StoreLook;
  lineage: LineageId;
  record: Lineage | undefined;
  known: readonly Known[];
  /** Whole files and chunks. */
  files: readonly StoredWal[];
  copies: Map<string, WalObject[]>;
  chunks: Map<string, Chunk[]>;
}

const systemOf = (lineage: LineageId): string => lineage.split('-')[0]!;

function copiesOf(look: StoreLook, files: readonly StoredWal[]): Map<string, WalObject[]> {
  const copies = new Map<string, WalObject[]>();
  for (const file of files) {
    const object = walObjectOf(look.store, file);
    if (object) copies.set(object.name, [...(copies.get(object.name) ?? []), object]);
  }
  return copies;
}

const chunksIn = (look: StoreLook, files: readonly StoredWal[]): Map<string, Chunk[]> =>
  chunksByName(files.map(file => chunkAt(look.store, file)).filter(chunk => chunk !== undefined));

/** Histories are sealed: a host without the identity sees each timeline by itself, and says so. */
async function archive(ctx: Context, part: Part, notes: Note[]): Promise<Archive> {
  try {
    return await archiveOf(ctx, part.lineage, part);
  } catch (error) {
    ctx.signal.throwIfAborted();
    const text = `how the timelines of lineage ${part.lineage} follow each other could not be read, so each stands for itself: ${sentence(error)}`;
    notes.push({ state: 'unproven', text });
    const segments = new Set([...part.copies.keys()].filter(name => /^[0-9A-F]{24}$/.test(name)));
    return { segments, ...openIn(part), histories: new Map(), hashes: contentsOf(part.copies) };
  }
}

/** The segment in which a base ends, as the 16 digits by which names of all timelines sort. */
const lastInside = ({ to, timeline, segmentBytes }: Base): string =>
  segmentName({ timeline, number: segmentAt(to - 1n, segmentBytes) }, segmentBytes).slice(8);

const newest = (files: readonly StoredWal[]): StoredWal | undefined =>
  files.reduce<StoredWal | undefined>((last, file) => (last && last.modified > file.modified ? last : file), undefined);

type End = Pick<WindowLine, 'to' | 'toIs'>;

/** The last commit of a window, from its last segments; when the store got the last one, where they cannot be opened or hold none. */
async function endOf(ctx: Context, part: Part, window: Window, notes: Note[]): Promise<End> {
  const base = window.bases.at(-1)!;
  const own: End = { to: base.endedAt.toISOString(), toIs: 'backup' };
  const behind = window.segments.filter(name => name.slice(8) >= lastInside(base));
  const last = newest(part.files.filter(({ name }) => name === behind.at(-1)));
  if (!last) return own;
  const tail = behind.slice(-LOOK_BACK);
  const stored: End = { to: last.modified.toISOString(), toIs: 'stored' };
  try {
    const commit = await lastCommit(ctx, {
      known: part.known.find(({ manifest }) => manifest.id === base.id)!,
      lineage: part.lineage,
      reach: { base, timeline: window.path.at(-1)!.timeline, segments: tail, end: window.end },
      held: { copies: part.copies, chunks: part.chunks, unreachable: [] },
      target: {},
      older: [],
      parents: [],
    });
    if (commit.at > base.endedAt) return { to: commit.text, toIs: 'commit' };
    return tail.length === behind.length ? own : stored;
  } catch (error) {
    ctx.signal.throwIfAborted();
    notes.push({
      state: 'unproven',
      text: `the last commit could not be looked up, so the end is when the store got the last segment: ${sentence(error)}`,
    });
    return stored;
  }
}

const gapOf = (hole: Hole, expected: boolean): WindowGap => ({
  first: hole.first,
  last: hole.last,
  segments: hole.segments,
  from: formatLsn(hole.from),
  breaks: hole.breaks.map(({ id }) => id),
  ...(hole.next ? { next: { backup: hole.next.id, at: hole.next.endedAt.toISOString() } } : {}),
  expected,
});

async function lineOf(ctx: Context, part: Part, window: Window, rolled: ReadonlySet<Id> | undefined, notes: Note[]): Promise<WindowLine> {
  const first = window.bases[0]!;
  const backups = window.bases.map(({ id }) => id);
  const noWal = !walStores(ctx).includes(part.look.store);
  const expected = noWal || (rolled !== undefined && !backups.some(id => rolled.has(id)));
  return {
    store: part.look.store.name,
    lineage: part.lineage,
    ...(part.record?.parent ? { parent: part.record.parent } : {}),
    systemIdentifier: systemOf(part.lineage),
    timelines: window.path.map(({ timeline, until }) => ({ timeline, ...(until === undefined ? {} : { until: formatLsn(until) }) })),
    from: first.endedAt.toISOString(),
    ...(await endOf(ctx, part, window, notes)),
    fromLsn: formatLsn(first.to),
    toLsn: formatLsn(window.end),
    segments: window.segments.length,
    backups,
    gaps: window.gaps.map(hole => gapOf(hole, expected)),
    live: window.open,
  };
}

/** Ids of the backups from which the window of the retention is rolled forward; undefined = of all. */
function rolledIds(part: Part): ReadonlySet<Id> | undefined {
  const { cutoff } = part.look;
  if (!cutoff) return undefined;
  const bases = part.known.flatMap(({ manifest }) => keptBase({ manifest, guarded: false }));
  return new Set(rollingBases(bases, cutoff).map(({ id }) => id));
}

const missing = ({ first, last, segments }: Hole): string => (segments === 1 ? first : `${first} to ${last} (${segments} segments)`);

const originOf = ({ record, lineage }: Part): string =>
  record?.parent ? `lineage ${lineage}, restored from ${record.parent.lineage} at LSN ${record.parent.lsn}` : `lineage ${lineage}`;

async function linesOf(ctx: Context, part: Part, notes: Note[]): Promise<WindowLine[]> {
  const bases = part.known.flatMap(baseOf);
  if (bases.length === 0) {
    const text = `${originOf(part)}: ${part.files.length} file(s) of WAL and no backup, so nothing of it can be restored yet: bkp backup postgres ${ctx.name}`;
    notes.push({ state: 'note', text });
    return [];
  }
  const seen = await archive(ctx, part, notes);
  const { own, apart } = parted(bases, seen.hashes);
  for (const base of apart) notes.push({ state: 'unproven', text: `${tellApart(base, part.lineage)}: it restores to its own end only` });
  const { windows, before } = windowsOf(own, seen);
  for (const hole of before)
    notes.push({
      state: 'note',
      text: `${originOf(part)}: WAL ${missing(hole)} is missing before the oldest backup, and nothing that is kept needs it`,
    });
  const rolled = rolledIds(part);
  const lines: WindowLine[] = [];
  for (const window of windows) lines.push(await lineOf(ctx, part, window, rolled, notes));
  return lines;
}

/** A manifest that names another cluster than its lineage is of was put there by somebody: nothing of the lineage fits it. */
const isForeign = ({ manifest }: Known): boolean => manifest.identity['systemIdentifier'] !== systemOf(manifest.lineage!);

async function recordsIn(ctx: Context, look: StoreLook, notes: Note[]): Promise<ReadonlyMap<LineageId, Lineage>> {
  try {
    return await knownLineages(ctx, [look.store]);
  } catch (error) {
    ctx.signal.throwIfAborted();
    notes.push({ state: 'unproven', text: `where the lineages come from could not be read: ${sentence(error)}` });
    return new Map();
  }
}

async function partsOf(ctx: Context, look: StoreLook, known: readonly Known[], notes: Note[]): Promise<Part[]> {
  const records = await recordsIn(ctx, look, notes);
  const wal = walStores(ctx).includes(look.store)
    ? walByLineage(
        ctx.base,
        look.objects,
        adoptedOf(
          ctx,
          look.known.map(({ manifest }) => manifest),
        ),
      )
    : new Map<LineageId, StoredWal[]>();
  const chunks = walStores(ctx).includes(look.store) ? chunksByLineage(ctx.base, look.objects) : new Map<LineageId, StoredWal[]>();
  const lineages = new Set([...records.keys(), ...wal.keys(), ...chunks.keys(), ...known.map(({ manifest }) => manifest.lineage!)]);
  return [...lineages].sort().map(lineage => {
    const whole = wal.get(lineage) ?? [];
    const files = [...whole, ...(chunks.get(lineage) ?? [])];
    const own = known.filter(({ manifest }) => manifest.lineage === lineage);
    return { look, lineage, record: records.get(lineage), known: own, files, copies: copiesOf(look, whole), chunks: chunksIn(look, files) };
  });
}

/** The backups of the windows that nothing follows. */
const open = (lines: readonly WindowLine[], known: readonly Known[]): Base[] => {
  const ids = new Set(lines.filter(({ live }) => live).flatMap(({ backups }) => backups));
  return known.flatMap(baseOf).filter(({ id }) => ids.has(id));
};

/** Every lineage may have an open end; the live one is that with the newest backup. */
const oneLive = (lines: readonly WindowLine[], newest: Id | undefined): WindowLine[] =>
  lines.map(line => ({ ...line, live: line.live && newest !== undefined && line.backups.includes(newest) }));

/**
 * From when to when every instant can be reached out of one store alone, by lineage. What cannot be opened here is told in `notes`, and the
 * end of a window is then the time at which the store got its last segment. Throws what the store throws when it no longer answers.
 * @param look `known` are the whole backups in that store
 */
export async function windows(ctx: Context, look: StoreLook): Promise<Windows> {
  const notes: Note[] = [];
  const usable = look.known.filter(({ manifest }) => manifest.wal && manifest.lineage);
  for (const { manifest } of usable.filter(isForeign))
    notes.push({
      state: 'unproven',
      text: `backup ${manifest.id} says that it is of cluster ${manifest.identity['systemIdentifier']} and of lineage ${manifest.lineage}: it is left out`,
    });
  const known = usable.filter(each => !isForeign(each));
  const lines: WindowLine[] = [];
  for (const part of await partsOf(ctx, look, known, notes)) lines.push(...(await linesOf(ctx, part, notes)));
  if (!walStores(ctx).includes(look.store))
    notes.push({ state: 'note', text: 'this store gets no WAL: each backup there restores to its own end' });
  const unique = notes.filter(({ text }, n) => notes.findIndex(other => other.text === text) === n);
  return { lines: oneLive(lines, newestBase(open(lines, known))?.id), notes: unique };
}
