import { rm } from 'node:fs/promises';
import { chainOf, finder, parentsOf } from '../core/chain.ts';
import type { Finding, Id, Known, Manifest, PieceRef, ProofRequest, Store, Target, TargetContext, Trial } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { openPiece } from '../flow/open.ts';
import { catalog } from './catalog.ts';
import { type Phases, Stopwatch } from './phases.ts';
import { withPin } from './records/pin.ts';
import { prove as record } from './records/proof.ts';

/** How a backup came back out of one store. */
export interface Proof {
  backup: Id;
  /** From the first byte that was asked for to the last trial. */
  seconds: number;
  /** What they went to; what a restore takes is `fetch`, `restore` and `start`. */
  phases: Phases;
  checks: Trial[];
}

/** The newest of whole backups, oldest first, that is no anomaly; where all are, the newest. */
export const newestGood = (whole: readonly Known[]): Manifest | undefined =>
  (whole.findLast(({ manifest }) => manifest.anomaly === undefined) ?? whole.at(-1))?.manifest;

/** Whether everything that was tried came out right. */
export const isProven = ({ checks }: Proof): boolean =>
  checks.length > 0 && checks.every(({ state }) => state === 'ok' || state === 'note');

const why = (error: unknown): Trial => ({
  name: 'proof',
  state: 'unproven',
  text: sentence(error),
  ...(error instanceof BkpError && error.next[0] ? { mend: error.next[0] } : {}),
});

/** Every trial until the end, or until something other than the backup got in the way, which is the last one then. */
async function trials(target: Target, ctx: TargetContext, request: ProofRequest): Promise<Trial[]> {
  const checks: Trial[] = [];
  try {
    for await (const trial of target.prove!(ctx, request)) checks.push(trial);
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (error instanceof BkpError && error.exit === 'storeUnreachable') throw error;
    checks.push(why(error));
  }
  return checks;
}

/** What a backup builds on, oldest first, as one store has it. Throws BkpError('verifyFailed') naming what that store lacks. */
async function parentsIn(ctx: TargetContext, store: Store, manifest: Manifest): Promise<Manifest[]> {
  if (parentsOf(manifest).length === 0) return [];
  const { known } = await catalog([store], ctx.base, ctx.keys);
  const { members, missing } = chainOf(manifest, finder(known.map(each => each.manifest)));
  const [gone] = missing;
  if (gone)
    throw new BkpError('verifyFailed', `backup ${manifest.id} builds on backup ${gone}, which is not in store ${store.name}`, {
      next: `bkp verify ${ctx.kind} ${ctx.name}`,
    });
  return members;
}

/**
 * Restores one backup out of one store alone into a directory of its own, tries it, and removes all of it again, however it ends. Prune
 * leaves the backup alone meanwhile.
 * @param random at least eight bytes
 * @param options `latest`: with everything that was archived on top of it
 * @throws BkpError('storeUnreachable') when the store falls silent; the signal's reason
 */
export async function proveBackup(
  target: Target,
  ctx: TargetContext,
  store: Store,
  manifest: Manifest,
  random: Uint8Array,
  options: { latest?: boolean } = {},
): Promise<Proof> {
  const alone = { ...ctx, stores: [store] };
  const opened = { ...ctx, recipients: manifest.recipients };
  const what = `prove ${manifest.id} out of ${store.name}`;
  ctx.report.emit({ type: 'started', what });
  const parents = await parentsIn(ctx, store, manifest);
  const dir = await ctx.scratch();
  const began = ctx.clock.now().getTime();
  const watch = new Stopwatch(ctx.clock);
  const ownerOf = (piece: PieceRef): Manifest => parents.find(({ pieces }) => pieces.some(each => each === piece)) ?? manifest;
  const request: ProofRequest = {
    manifest,
    parents,
    dir,
    read: (piece: PieceRef) => openPiece(piece, ownerOf(piece).line, [watch.over(store)], opened),
    latest: options.latest ?? false,
    enter: phase => watch.enter(phase),
  };
  try {
    const checks = await withPin(alone, manifest.id, 'proof', random, () => trials(target, alone, request));
    const ms = ctx.clock.now().getTime() - began;
    ctx.report.emit({ type: 'finished', what, ms });
    return { backup: manifest.id, seconds: Math.round(ms / 100) / 10, phases: watch.read(), checks };
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Writes down in a store that a backup came back right out of it. One that takes no record has it proven all the same, but lets prune
 * remove it: a warning.
 * @param by what proved it, such as `drill`
 */
export async function remember(ctx: TargetContext, store: Store, id: Id, by: string): Promise<void> {
  try {
    await record(ctx, store, id, ctx.clock.now(), by);
  } catch (error) {
    ctx.report.emit({ type: 'warning', text: `store ${store.name} did not take the record that ${id} is proven: ${sentence(error)}` });
  }
}

/** Why a proof did not succeed, in the words of `verify`. */
export function findingsOf(store: string, { backup, checks }: Proof): Finding[] {
  return checks.flatMap(({ name, state, text, mend }): Finding[] => {
    const said = `(${name}): ${text}${mend ? ` → ${mend}` : ''}`;
    if (state === 'fail')
      return [{ store, state: 'damaged', text: `backup ${backup} does not come back right ${said}`, breaks: [`backup ${backup}`] }];
    return state === 'unproven' ? [{ store, state, text: `backup ${backup} is not proven ${said}` }] : [];
  });
}

/**
 * Proves the newest good one of a store's whole backups, and writes that down in the store, where it keeps prune from removing it.
 * @param by what proves it, such as `verify`
 * @returns no proof for a kind that cannot be proven, and where there is no backup
 */
export async function proveNewest(
  target: Target,
  ctx: TargetContext,
  store: Store,
  whole: readonly Known[],
  options: { random: Uint8Array; by: string },
): Promise<{ proof?: Proof; findings: Finding[] }> {
  const manifest = newestGood(whole);
  if (!target.prove || !manifest) return { findings: [] };
  try {
    const proof = await proveBackup(target, ctx, store, manifest, options.random);
    if (isProven(proof)) await remember(ctx, store, manifest.id, options.by);
    return { proof, findings: findingsOf(store.name, proof) };
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (!(error instanceof BkpError) || error.exit !== 'storeUnreachable') throw error;
    return { findings: [{ store: store.name, state: 'unreachable', text: error.message }] };
  }
}
