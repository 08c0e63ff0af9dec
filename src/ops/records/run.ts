import type { Store, TargetContext } from '../../core/contracts.ts';
import { sentence } from '../../core/errors.ts';
import { joinKey } from '../../core/key.ts';
import { SKEW_MS } from '../../core/time.ts';
import { putBytes, readAll } from '../../flow/bytes.ts';
import { assertTrusted } from '../signer.ts';
import { newestBelieved } from './believed.ts';
import { listed } from './entry.ts';
import { decodeRun, encodeRun, type ListedRun, type RunRecord, runId, runKey, runsAmong, runsUnder } from './runRecord.ts';

export type { RunRecord } from './runRecord.ts';

/** The newest run of one verb that ended well, and the newest that did not. */
export interface LastRuns {
  success?: RunRecord;
  failure?: RunRecord;
}

/** What `bkp status` shows of what ran. */
const SHOWN = ['backup', 'prune', 'verify', 'drill'] as const satisfies readonly RunRecord['verb'][];

/** Records of each verb that stay in a store, beside its newest success and failure. */
const KEPT = 10;

/** Without what ended in the future, by a clock that was wrong: it would be the last one until that time has come, whatever comes to pass meanwhile. */
const byNow = (ctx: TargetContext, runs: readonly ListedRun[]): ListedRun[] => {
  const bound = runId(new Date(ctx.clock.now().getTime() + SKEW_MS).toISOString(), new Uint8Array(3));
  return runs.filter(({ id }) => id < bound);
};

const of = (runs: readonly ListedRun[], outcome: ListedRun['outcome']): ListedRun[] => runs.filter(run => run.outcome === outcome);

/** A value with all its texts, however deep, put through a function. */
export function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map(each => mapTexts(each, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, mapTexts(each, change)]));
}

async function tidy(ctx: TargetContext, store: Store, verb: string): Promise<void> {
  const runs = runsAmong(ctx, await listed(store, `${joinKey(runsUnder(ctx), verb)}/`));
  const newest = [runs, byNow(ctx, runs)].flatMap(some => [of(some, 'done')[0], of(some, 'failed')[0]]);
  const old = runs.slice(KEPT).filter(run => !newest.includes(run));
  // A store that does not let them go keeps some more small objects.
  if (old.length > 0) await store.remove(old.map(({ key }) => key));
}

/**
 * Writes down, signed, how a run ended, in each of the stores; older records of that verb go. Never throws: a store that does not take it
 * is a warning, and a host that has no trusted signing key a note.
 * @param random at least three bytes
 * @param redact takes secrets out of a text, since what is in a store stays there; that of `ctx` unless given
 */
export async function recordRun(
  ctx: TargetContext,
  stores: readonly Store[],
  record: RunRecord,
  random: Uint8Array,
  redact: (text: string) => string = ctx.redact ?? (text => text),
): Promise<void> {
  const id = runId(record.finishedAt, random);
  let bytes: Buffer;
  try {
    assertTrusted(ctx.keys);
    bytes = encodeRun(ctx, id, mapTexts(record, redact) as RunRecord);
  } catch (error) {
    ctx.report.emit({ type: 'note', text: `this run is not recorded in the stores: ${sentence(error)}` });
    return;
  }
  const write = async (store: Store): Promise<void> => {
    try {
      await putBytes(store, runKey(ctx, id, record), bytes, { ifAbsent: true });
      await tidy(ctx, store, record.verb);
    } catch (error) {
      ctx.report.emit({ type: 'warning', text: `store ${store.name} did not take the record of this ${record.verb}: ${sentence(error)}` });
    }
  };
  await Promise.all(stores.map(write));
}

/** The newest of some records of one store that can be believed. */
const newest = (ctx: TargetContext, store: Store, runs: readonly ListedRun[]): Promise<RunRecord | undefined> =>
  newestBelieved(
    'run',
    runs,
    async run => decodeRun(ctx, run, await readAll(store.get(run.key)), `object ${run.key} in store ${store.name}`),
    ctx.report,
  );

/**
 * The newest record of a verb from before an instant, however that run ended; undefined where there is none that can be believed.
 * @throws BkpError('storeUnreachable') when the store does not answer
 */
export async function lastBefore(ctx: TargetContext, store: Store, verb: RunRecord['verb'], before: Date): Promise<RunRecord | undefined> {
  const bound = runId(before.toISOString(), new Uint8Array(3));
  const runs = runsAmong(ctx, await listed(store, `${joinKey(runsUnder(ctx), verb)}/`));
  return newest(
    ctx,
    store,
    runs.filter(({ id }) => id < bound),
  );
}

/**
 * The last runs of each verb that is asked for, as one store tells them: one listing, and one object for each that is answered.
 * @throws BkpError('storeUnreachable') when the store does not answer
 */
export async function lastRuns<V extends RunRecord['verb'] = (typeof SHOWN)[number]>(
  ctx: TargetContext,
  store: Store,
  verbs: readonly V[] = SHOWN as unknown as readonly V[],
): Promise<Partial<Record<V, LastRuns>>> {
  const all = byNow(ctx, runsAmong(ctx, await listed(store, `${runsUnder(ctx)}/`)));
  const last: Partial<Record<V, LastRuns>> = {};
  for (const verb of verbs) {
    const runs = all.filter(run => run.verb === verb);
    const [success, failure] = await Promise.all([newest(ctx, store, of(runs, 'done')), newest(ctx, store, of(runs, 'failed'))]);
    if (success || failure) last[verb] = { ...(success ? { success } : {}), ...(failure ? { failure } : {}) };
  }
  return last;
}
