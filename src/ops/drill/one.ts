import { plainBytes } from '../../core/anomaly.ts';
import type { Manifest, Target, TargetContext, Trial } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import type { DrillResult, TargetEvidence } from '../../core/evidence.ts';
import { storedBytes } from '../catalog.ts';
import { type Proof, proveBackup, remember } from '../prove.ts';
import { recordRun } from '../records/run.ts';
import { type Attempt, attemptsOf, type Pick } from './choose.ts';

/** One target as a drill sees it. */
export interface Drilled {
  target: Target;
  ctx: TargetContext;
  engine: string;
  /** What the config promises. */
  rpoMs: number;
}

export interface DrillOptions {
  /** Name of a store, or `each`; absent = the first that has what is tried. */
  store?: string | undefined;
  pick: Pick;
  /** So many random bytes. */
  random(bytes: number): Uint8Array;
}

/** Where a target stands in its drill. */
type Place = { [Key in 'kind' | 'name' | 'engine' | 'wave' | 'rpoPromisedSeconds']: TargetEvidence[Key] };

const rounded = (seconds: number): number => Math.round(seconds * 1000) / 1000;

/** Nothing that was tried is no success. */
function resultOf(checks: readonly Trial[]): DrillResult {
  if (checks.length === 0 || checks.some(({ state }) => state === 'fail')) return 'failed';
  return checks.some(({ state }) => state === 'unproven') ? 'unproven' : 'passed';
}

/** A check as it is kept. */
const kept = ({ name, state, text, mend, seconds }: Trial): TargetEvidence['checks'][number] => ({
  name,
  state,
  text,
  ...(mend === undefined ? {} : { mend }),
  ...(seconds === undefined ? {} : { seconds }),
});

/** What an outage would have taken and lost: only of what came back right. */
function objectives(proof: Proof, manifest: Manifest, startedAt: Date) {
  const { fetch, restore, start } = proof.phases;
  const reached = proof.checks.findLast(({ reachedAt }) => reachedAt)?.reachedAt ?? new Date(manifest.recoveryPointAt);
  return {
    recoveryPointAt: reached.toISOString(),
    rtoSeconds: rounded(fetch + restore + start),
    rpoSeconds: rounded(Math.max(0, startedAt.getTime() - reached.getTime()) / 1000),
  };
}

function told(place: Place, { store, manifest }: Extract<Attempt, { manifest: Manifest }>, proof: Proof, startedAt: Date): TargetEvidence {
  const result = resultOf(proof.checks);
  return {
    ...place,
    engine: manifest.engine,
    result,
    ...(proof.checks.length === 0 ? { skipped: `a ${place.kind} tries nothing` } : {}),
    store: store.name,
    backup: manifest.id,
    storedBytes: storedBytes(manifest),
    plainBytes: plainBytes(manifest),
    phases: proof.phases,
    versions: { ...manifest.versions },
    ...(result === 'passed' ? objectives(proof, manifest, startedAt) : {}),
    checks: proof.checks.map(kept),
  };
}

/** What one attempt showed, whatever came. Throws only the signal's reason. */
async function tried(drilled: Drilled, place: Place, attempt: Attempt, options: DrillOptions, startedAt: Date): Promise<TargetEvidence> {
  const { target, ctx } = drilled;
  if (!('manifest' in attempt)) {
    const { why: skipped, ...known } = attempt;
    return { ...place, result: 'failed', skipped, ...known, checks: [] };
  }
  const { store, manifest } = attempt;
  const named = { store: store.name, backup: manifest.id };
  if (!target.prove)
    return {
      ...place,
      result: 'unproven',
      skipped: target.holder
        ? `what ${place.engine} keeps cannot be restored apart from the service`
        : `nothing is known by which a copy of ${place.kind} could be tried: \`bkp restore ${place.kind} --to DIR\` brings one back`,
      ...named,
      checks: [],
    };
  try {
    const proof = await proveBackup(target, ctx, store, manifest, options.random(8), { latest: true });
    return told(place, attempt, proof, startedAt);
  } catch (error) {
    ctx.signal.throwIfAborted();
    const mend = error instanceof BkpError ? error.next[0] : undefined;
    return {
      ...place,
      result: 'failed',
      ...named,
      checks: [kept({ name: 'drill', state: 'fail', text: sentence(error), ...(mend ? { mend } : {}) })],
    };
  }
}

/** The first thing that went wrong, in words. */
export const firstFault = ({ skipped, checks }: TargetEvidence): string | undefined => {
  const bad = checks.find(({ state }) => state === 'fail') ?? checks.find(({ state }) => state === 'unproven');
  return bad ? `${bad.name}: ${bad.text}` : skipped;
};

/** How it ended is written down for `status`, in the store that was tried, or in all where none was. What could not be tried is no run. */
async function record({ ctx }: Drilled, evidence: TargetEvidence, startedAt: Date, options: DrillOptions): Promise<void> {
  if (evidence.result === 'unproven') return;
  const stores = evidence.store === undefined ? ctx.stores : ctx.stores.filter(({ name }) => name === evidence.store);
  const { backup, rtoSeconds, rpoSeconds } = evidence;
  const message = firstFault(evidence);
  const run = {
    version: 1,
    verb: 'drill',
    startedAt: startedAt.toISOString(),
    finishedAt: ctx.clock.now().toISOString(),
    exit: evidence.result === 'passed' ? 'done' : 'verifyFailed',
    ...(evidence.result === 'failed' && message ? { message } : {}),
    details: { backup, rtoSeconds, rpoSeconds },
  } as const;
  await recordRun(ctx, stores, run, options.random(8));
}

/**
 * Restores one target's backups out of the stores that were chosen, one after the other, and tries them. What came back right is recorded
 * in its store as proven, and how each went as a run.
 * @param wave counted from 0
 * @returns one for each store that was to be tried
 * @throws the signal's reason: then nothing is recorded of what was under way
 */
export async function drillTarget(drilled: Drilled, wave: number, options: DrillOptions, startedAt: Date): Promise<TargetEvidence[]> {
  const { ctx, engine, rpoMs } = drilled;
  const place: Place = { kind: ctx.kind, name: ctx.name, engine, wave, rpoPromisedSeconds: rpoMs / 1000 };
  const attempts = await attemptsOf(ctx, options.store, options.pick).catch((error): Attempt[] => {
    ctx.signal.throwIfAborted();
    return [{ why: sentence(error) }];
  });
  const all: TargetEvidence[] = [];
  for (const attempt of attempts) {
    const evidence = await tried(drilled, place, attempt, options, startedAt);
    if (evidence.result === 'passed' && 'manifest' in attempt) await remember(ctx, attempt.store, attempt.manifest.id, 'drill');
    await record(drilled, evidence, startedAt, options);
    all.push(evidence);
  }
  return all;
}
