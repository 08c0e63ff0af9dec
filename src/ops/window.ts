import type { Known, StoreLook, Target, TargetContext, WindowLine, Windows } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { allObjects, catalog, heldBy, lacking, lackingChain, type Problem } from './catalog.ts';

/** A note on what one store holds. */
export type WindowNote = Windows['notes'][number] & { store: string };

/** From when to when a target can be brought back, by store. */
export interface TargetWindows {
  lines: WindowLine[];
  notes: WindowNote[];
  /** Stores that do not answer, and manifests that are not believed. */
  problems: Problem[];
}

/** A kind that has windows. */
export type Windowed = Target & Required<Pick<Target, 'windows'>>;

export const hasWindows = (target: Target): target is Windowed => target.windows !== undefined;

/**
 * Refuses a kind of which each backup is a point by itself. Throws BkpError('usage') naming the kinds that have windows.
 * @param kinds every kind that there is
 */
export function checkWindowed(target: Target, kinds: readonly Target[]): Windowed {
  if (hasWindows(target)) return target;
  throw new BkpError('usage', `${target.kind} has no windows: each of its backups brings back the state of one moment`, {
    next: [
      `bkp list ${target.kind}`,
      `--window goes with: ${kinds
        .filter(hasWindows)
        .map(({ kind }) => kind)
        .join(', ')}`,
    ],
  });
}

/** Only a whole backup begins a window; one that lost a piece is told. */
async function lookAt(
  target: Target,
  ctx: TargetContext,
  seen: Awaited<ReturnType<typeof catalog>>,
  n: number,
  window: number | undefined,
) {
  const { store, sizes } = seen.shown[n]!;
  const objects = await allObjects(target, ctx, store);
  const held = seen.known.filter(({ stores }) => stores.includes(store.name));
  const find = heldBy(held, store.name);
  const isWhole = ({ manifest }: Known): boolean => lackingChain(ctx.base, manifest, find, sizes).length === 0;
  const [whole, damaged] = [true, false].map(wanted => held.filter(each => isWhole(each) === wanted));
  const cutoff = window === undefined ? {} : { cutoff: new Date(ctx.clock.now().getTime() - window) };
  const look: StoreLook = { store, known: whole!, objects, deep: () => false, ...cutoff };
  const why = ({ manifest }: Known): string =>
    lacking(manifest, sizes).length > 0
      ? `backup ${manifest.id} lost a piece there: it is left out`
      : `backup ${manifest.id} builds on what is not whole there (${lackingChain(ctx.base, manifest, find, sizes)[0]}): it is left out`;
  return { look, damaged: damaged!.map(why) };
}

/**
 * Asks every store of a target by itself: what one lacks another may hold, and a restore without `--from` reads them all.
 * @param options `window`: how far back the retention of the config lets a restore choose the instant, ms
 * @throws BkpError('storeUnreachable') when no store answers
 */
export async function windowsOfTarget(target: Windowed, ctx: TargetContext, options: { window?: number }): Promise<TargetWindows> {
  const seen = await catalog(ctx.stores, ctx.base, ctx.keys, ctx.cache);
  const result: TargetWindows = { lines: [], notes: [], problems: [...seen.problems] };
  for (const [n, { store }] of seen.shown.entries()) {
    try {
      const { look, damaged } = await lookAt(target, ctx, seen, n, options.window);
      const { lines, notes } = await target.windows(ctx, look);
      result.lines.push(...lines);
      for (const text of damaged) result.notes.push({ store: store.name, state: 'unproven', text });
      result.notes.push(...notes.map(note => ({ store: store.name, ...note })));
    } catch (error) {
      ctx.signal.throwIfAborted();
      result.problems.push({ store: store.name, error: sentence(error) });
    }
  }
  return result;
}
