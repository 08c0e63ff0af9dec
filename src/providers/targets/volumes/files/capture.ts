import type { CaptureOptions, Facts, Held, Id, Known, Manifest, Piece, Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { type Baseline, baselineOf, cleaned } from './baseline.ts';
import { census } from './census.ts';
import { fromClaims } from './claims.ts';
import { type Context, passwordOf, prefixOf, who } from './context.ts';
import { copyFresh } from './copy.ts';
import { type Eyes, looking } from './look.ts';
import { checkedPlaces, emptiedOf, type Place } from './paths.ts';
import { pictureOf, stateOf } from './picture.ts';
import { isSince, refuseOld } from './program.ts';
import { forget, ready, snapshotsIn } from './repository.ts';
import { few, type Taken, take, Unfit } from './take.ts';

type Failed = { store: Store; error: unknown }[];

/** What one kind of source gives: a snapshot for each part. */
export interface Source {
  parts: readonly { name: string; paths: readonly string[]; take(store: Store, id: Id): Promise<Taken> }[];
  places: readonly Place[];
  /** What held files in the good backup before and holds none now. */
  emptied?: string;
  /** Where the files can be reached from here. */
  eyes?: Eyes;
  notCovered: readonly string[];
  /** What should be in it and is not. */
  lacks: readonly string[];
  warnings: readonly string[];
  close?(): Promise<void>;
}

/** As the paths were in the newest backup, and in the newest that is no anomaly. */
function placesBefore(known: readonly Known[]): { last: readonly Place[]; good: readonly Place[] } {
  const ours = known.map(({ manifest }) => manifest).filter(({ engine }) => engine === 'files');
  const of = (manifest: Manifest | undefined): readonly Place[] => (manifest && baselineOf(manifest).places) ?? [];
  return { last: of(ours.at(-1)), good: of(ours.findLast(({ anomaly }) => anomaly === undefined)) };
}

async function fromPaths(ctx: Context, paths: readonly string[], known: readonly Known[]): Promise<Source> {
  const before = placesBefore(known);
  const walk = { paths, root: '/', oneFileSystem: ctx.config.oneFileSystem };
  const places = await checkedPlaces(ctx, paths, before.last);
  const emptied = emptiedOf(places, before.good);
  return {
    parts: [{ name: 'files', paths, take: (store, id) => take(ctx, store, id, paths) }],
    places,
    ...(emptied === undefined ? {} : { emptied }),
    eyes: {
      state: () => stateOf(ctx, walk),
      picture: () => pictureOf(ctx, walk),
      census: (store, snapshot) => census(ctx, store, snapshot),
    },
    notCovered: ctx.config.oneFileSystem ? ['what is mounted below the paths'] : [],
    lacks: [],
    warnings: [],
  };
}

/** What restic stores of no file (0.14 to 0.18). */
const NEVER = ['sockets, which their programs make anew', 'flags of files such as immutable (chattr)'];

/** What the first store that takes it has now. */
interface Stored {
  store: Store;
  taken: readonly Taken[];
  failed: Failed;
}

/** The first store that takes all parts; one that does not is passed over. Throws Unfit, or what the first store said when none takes it. */
async function store(ctx: Context, id: Id, { parts }: Source, touched: Set<Store>): Promise<Stored> {
  const failed: Failed = [];
  for (const store of ctx.stores) {
    try {
      await ready(ctx, store);
      touched.add(store);
      const taken: Taken[] = [];
      for (const part of parts) taken.push(await part.take(store, id));
      return { store, taken, failed };
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (error instanceof Unfit) throw error;
      failed.push({ store, error });
    }
  }
  const [first] = failed;
  const known = first?.error instanceof BkpError ? first.error : undefined;
  throw new BkpError(
    known?.exit ?? 'failed',
    `${who(ctx)}: no store takes it: ${failed.map(each => `${each.store.name}: ${sentence(each.error)}`).join('; ')}`,
    {
      next: known?.next ?? [],
      cause: first?.error,
    },
  );
}

async function copyToOthers(ctx: Context, id: Id, { parts }: Source, stored: Stored, touched: Set<Store>): Promise<Failed> {
  const snapshots = parts.map(({ paths }, n) => ({ id: stored.taken[n]!.summary.snapshot, paths, blobs: stored.taken[n]!.summary.blobs }));
  const failed = [...stored.failed];
  for (const to of ctx.stores) {
    if (to === stored.store || failed.some(each => each.store === to)) continue;
    try {
      touched.add(to);
      await copyFresh(ctx, id, stored.store, to, snapshots);
    } catch (error) {
      ctx.signal.throwIfAborted();
      failed.push({ store: to, error });
    }
  }
  return failed;
}

/** Snapshots of a run that failed are no backup; where they cannot be taken away, prune does it. */
async function discard(ctx: Context, id: Id, touched: ReadonlySet<Store>): Promise<void> {
  const alive = { ...ctx, signal: new AbortController().signal };
  for (const store of touched) {
    try {
      await forget(
        alive,
        store,
        (await snapshotsIn(alive, store, id)).map(snapshot => snapshot.id),
      );
    } catch (error) {
      ctx.report.emit({
        type: 'note',
        text: `store ${store.name} may keep a snapshot of the failed run, for prune to remove: ${sentence(error)}`,
      });
    }
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

const heldOf = (ctx: Context, id: Id, paths: readonly string[]): Held => ({
  by: 'restic',
  id,
  detail: { prefix: prefixOf(ctx), paths: JSON.stringify(paths) },
});

/** A restic of that version stores every target of a symbolic link as it is; older ones put U+FFFD for each byte that is no UTF-8 (tried with 0.14). */
const LINKS_SINCE = '0.16.0';

function unlike(version: string, links: readonly string[]): string[] {
  if (links.length === 0 || isSince(version, LINKS_SINCE)) return [];
  return [
    `${links.length} symbolic link(s) have a target that is no UTF-8, which restic ${version} does not store as it is, and ${LINKS_SINCE} does: ${few(links)}`,
  ];
}

/** A volume that somebody mounts below a path later is in no backup from then on, and everything else stays as it was. */
function leftOut({ config }: Context, mounts: readonly string[]): string[] {
  const { oneFileSystem, paths = [], exclude } = config;
  const isMeant = (mount: string): boolean =>
    cleaned(paths).includes(mount) || exclude.some(pattern => `${mount}/`.startsWith(pattern.replace(/\/*$/, '/')));
  const lost = oneFileSystem ? mounts.filter(mount => !isMeant(mount)) : [];
  if (lost.length === 0) return [];
  return [
    `${few(lost)}: another file system is mounted there, and what it holds is not in the backup: name it in \`paths:\` or \`exclude:\` too, or take it along by \`oneFileSystem: false\``,
  ];
}

/** Whatever the source is: looked at, read, stored, looked at again. */
async function read(ctx: Context, id: Id, source: Source, touched: Set<Store>) {
  const look = await looking(source.eyes);
  const at = ctx.clock.now();
  const stored = await store(ctx, id, source, touched);
  return { at, stored, look: await look(stored.store, stored.taken[0]!) };
}

async function open(ctx: Context, { known }: CaptureOptions): Promise<Source> {
  const { paths, claims } = ctx.config;
  return claims ? fromClaims(ctx, claims) : fromPaths(ctx, cleaned(paths ?? []), known);
}

/**
 * Takes a backup by restic into the first store that takes it, proves by the store that it is there, and copies it to the others by restic.
 * @throws BkpError('refused') before anything is read, where a path is not the volume that it should be; 'failed' for what cannot be read and
 *   for nothing at all; what the stores say when none takes it
 */
export async function* capture(ctx: Context, options: CaptureOptions): AsyncGenerator<Piece, Facts> {
  const version = await refuseOld(ctx);
  passwordOf(ctx);
  const source = await open(ctx, options);
  const touched = new Set<Store>();
  try {
    const { at, stored, look } = await read(ctx, options.id, source, touched);
    const failed = await copyToOthers(ctx, options.id, source, stored, touched);
    for (const { name, paths } of source.parts) yield { name, held: heldOf(ctx, options.id, paths), failed };
    const { taken } = stored;
    const bytes = sum(taken.map(({ summary }) => summary.bytes));
    const { warnings, oddLinks, mounts, ...seen } = look;
    const baseline: Baseline = {
      files: sum(taken.map(({ summary }) => summary.files)),
      bytes,
      added: sum(taken.map(({ summary }) => summary.added)),
      places: source.places,
      ...seen,
    };
    return {
      identity: { tool: 'restic' },
      at,
      needs: [],
      contentBytes: bytes,
      addedBytes: baseline.added,
      baseline: { ...baseline },
      versions: { restic: version },
      notCovered: [...NEVER, ...source.notCovered],
      warnings: [
        ...source.warnings,
        ...taken.flatMap(each => each.warnings),
        ...warnings,
        ...unlike(version, oddLinks),
        ...leftOut(ctx, mounts),
      ],
      ...(source.emptied === undefined ? {} : { emptied: source.emptied }),
      ...(source.lacks.length > 0 ? { lacks: [...source.lacks] } : {}),
    };
  } catch (error) {
    await discard(ctx, options.id, touched);
    throw error;
  } finally {
    await source.close?.();
  }
}
