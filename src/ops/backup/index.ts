import type { Store, Target, TargetContext } from '../../core/contracts.ts';
import { BkpError, type ExitName, sentence } from '../../core/errors.ts';
import { environmentBase } from '../../core/key.ts';
import { catalog, manifestKey, storedBytes } from '../catalog.ts';
import { gathered } from '../gathered.ts';
import { heal, newestWithChains } from '../heal.ts';
import { withHooks } from '../hooks.ts';
import { holdNeeded } from '../lock.ts';
import { sameAsAnother } from '../onePlace.ts';
import { refuseRestoring } from '../records/restoring.ts';
import { recordRun } from '../records/run.ts';
import { assertTrusted } from '../signer.ts';
import { healLog, sweep } from './afterwards.ts';
import { whatOf, withoutFail } from './make.ts';
import type { BackupOptions, BackupResult } from './options.ts';
import type { Failures } from './pieces.ts';

export type { BackupOptions, BackupResult };

/**
 * Takes one backup of one target into all its stores: pieces first, the signed manifest last. A run that fails is recorded in the stores
 * that take the record, so that `status` and `prune` know of it.
 * @returns 'partial' when fewer than all stores hold it; the next run heals that
 * @throws BkpError when it could not be taken, or fewer than `need` stores hold it; then no store shows a backup of this run that counts
 */
export async function backupTarget(target: Target, ctx: TargetContext, options: BackupOptions): Promise<BackupResult> {
  if (!options.evenWhileRestoring) await refuseRestoring(ctx.stores, environmentBase(ctx.base));
  const startedAt = ctx.clock.now();
  const record = async (exit: ExitName, message: string): Promise<void> => {
    const [started, finished] = [startedAt, ctx.clock.now()].map(at => at.toISOString()) as [string, string];
    const run = { version: 1, verb: 'backup', startedAt: started, finishedAt: finished, exit, message } as const;
    await recordRun(ctx, ctx.stores, run, options.random);
  };
  try {
    const result = await taken(target, ctx, options.startedAt ?? startedAt, options);
    const fault = result.manifest.anomaly ?? result.lacks[0] ?? result.hookError;
    if (fault) await record('failed', fault);
    return result;
  } catch (error) {
    // Ended by a signal, a container has seconds left: that the run is missing shows by its absence. What another tool took is no run.
    if (!ctx.signal.aborted && !options.startedAt) await record(error instanceof BkpError ? error.exit : 'failed', sentence(error));
    throw error;
  }
}

/** With the hooks around it. What the hook after it could not do is no less of a backup, and more than a word in a log. */
async function taken(target: Target, ctx: TargetContext, startedAt: Date, options: BackupOptions): Promise<BackupResult> {
  const { result, hookError } = await withHooks(
    ctx,
    options.hooks,
    () => take(target, ctx, startedAt, options),
    ({ manifest, exit }) => ({ exit, id: manifest.id, ...(manifest.anomaly ? { message: manifest.anomaly } : {}) }),
  );
  return hookError === undefined ? result : { ...result, hookError, exit: result.exit === 'done' ? 'partial' : result.exit };
}

async function take(target: Target, ctx: TargetContext, startedAt: Date, options: BackupOptions): Promise<BackupResult> {
  const { known, problems } = await catalog(ctx.stores, ctx.base, ctx.keys);
  for (const { store, key, error } of gathered(problems))
    ctx.report.emit({ type: 'warning', text: `store ${store}${key ? `, ${key}` : ''}: ${error}` });
  assertTrusted(ctx.keys);
  const { id, manifest, facts, failures } = await withoutFail(target, ctx, startedAt, known, options);
  const what = whatOf(ctx, id);
  ctx.report.emit({ type: 'finished', what, bytes: storedBytes(manifest), ms: ctx.clock.now().getTime() - startedAt.getTime() });
  for (const [store, error] of failures)
    ctx.report.emit({ type: 'warning', text: `store ${store.name} does not hold it: ${sentence(error)}` });
  for (const text of manifest.warnings) ctx.report.emit({ type: 'warning', text });
  const holding = ctx.stores.filter(store => !failures.has(store));
  const unheld = await holdNeeded(target, ctx, manifest, holding, known);
  const missed = [...unheld, ...(await sameAsAnother(failures, manifestKey(ctx.base, id)))];
  for (const text of missed) ctx.report.emit({ type: 'warning', text });
  const lacks = [...(facts.lacks ?? []), ...missed];
  await sweep({ ...ctx, stores: holding });
  const healed = await heal(target, { ...ctx, stores: holding }, known);
  if (facts.lineage) {
    const { window } = options;
    // Whose clock has jumped back would want what prune took: the source has a clock of its own.
    const until = Math.max(startedAt.getTime(), facts.at.getTime());
    const kept = { known, ...(window === undefined ? {} : { cutoff: new Date(until - window) }) };
    // After a restore in place the newest backups may be of another lineage than this one, and are nothing to roll forward without its log.
    const lineages = [facts.lineage, ...newestWithChains(known).flatMap(each => each.manifest.lineage ?? [])];
    for (const lineage of new Set(lineages)) await healLog(target, ctx, lineage, kept);
  }
  return {
    manifest,
    bytes: storedBytes(manifest),
    stores: ctx.stores.map(store => outcome(store, failures)),
    healed,
    lacks,
    exit: manifest.anomaly ? 'failed' : failures.size > 0 || lacks.length > 0 ? 'partial' : 'done',
  };
}

const outcome = (store: Store, failures: Failures): BackupResult['stores'][number] =>
  failures.has(store) ? { name: store.name, ok: false, error: sentence(failures.get(store)) } : { name: store.name, ok: true };
