import type { Known, ProofRequest, TargetContext, Trial } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { formatLsn } from '../../../core/postgres/lsn.ts';
import { reachOf } from '../../../core/postgres/plan.ts';
import { formatBytes } from '../../../core/size.ts';
import { holdingsOf, readFirstWhole } from './archive.ts';
import { baseBytes, isWalg } from './base.ts';
import { baseOf } from './choose.ts';
import { bring, type Part } from './combine.ts';
import type { PostgresConfig } from './config.ts';
import { planRestore } from './plan.ts';
import { type Private, prepare } from './private.ts';
import { endPrepared } from './proveCopy.ts';
import { verifyFiles, verifyPages } from './proveFiles.ts';
import { proofPlace, proofSpaces } from './proveHost.ts';
import { judged, tenths, timed } from './proveRun.ts';
import { type Compared, compare, exercise } from './proveServer.ts';
import { atOwnEnd } from './proveStandby.ts';
import { checkReached, commitTime, type Recovered, type Recovery, recover } from './recover.ts';
import { recoveryOf } from './restore.ts';
import { completeTablespaces, type Mapped, occupyTablespaces, redirect } from './tablespaces.ts';
import { refuseNewSpaces, refuseSpacesInside } from './walSpaces.ts';

type Context = TargetContext<PostgresConfig>;

/** Whatever the copy's own files say: damage is not passed over, and statements are not logged. */
const STRICT = {
  zero_damaged_pages: 'off',
  ignore_checksum_failure: 'off',
  ignore_invalid_pages: 'off',
  ignore_system_indexes: 'off',
  log_statement: 'none',
  log_min_duration_statement: '-1',
};

/** WAL of the time of a backup that has none inside. */
async function ownWal(ctx: Context, { lineage, engine }: Known['manifest'], own: readonly string[]): Promise<Recovery['read']> {
  if (engine !== 'wal-g' || lineage === undefined) return async () => undefined;
  const { copies, unreachable } = await holdingsOf(ctx, lineage);
  const [silent] = unreachable;
  if (silent) throw new BkpError('storeUnreachable', `store ${silent.store} does not list its WAL: ${silent.reason}`);
  return async name => {
    const held = own.includes(name) ? copies.get(name) : undefined;
    return held && readFirstWhole(ctx, lineage, held);
  };
}

/** To the backup's own end, with the WAL from its start to its end and no other. */
async function ownEnd(ctx: Context, place: Private, manifest: Known['manifest']): Promise<Recovery> {
  const base = baseOf({ manifest, stores: [] })[0]!;
  const reach = reachOf(base, { segments: new Set(), histories: new Map() }, [{ timeline: base.timeline, from: 0n }]);
  const read = await ownWal(ctx, manifest, reach.segments);
  const check = refuseNewSpaces(ctx, place, reach.segments, read);
  return { id: manifest.id, reach, target: { recovery_target: 'immediate' }, older: [], ahead: 4, read, check };
}

async function unpack(
  ctx: Context,
  place: Private,
  spaces: readonly Mapped[],
  { manifest, parents = [], read }: ProofRequest,
): Promise<Trial[]> {
  const partOf = (each: Known['manifest']): Part => ({ manifest: each, holders: ctx.stores });
  try {
    await occupyTablespaces(ctx, place, spaces);
    await bring(ctx, place, isWalg(manifest) ? [] : parents.map(partOf), partOf(manifest), spaces, read);
    await completeTablespaces(spaces);
    await refuseSpacesInside(ctx, place);
  } catch (error) {
    ctx.signal.throwIfAborted();
    return [judged('unpack', error, ['verifyFailed'])];
  }
  const proven = isWalg(manifest) ? 'and every file that WAL-G names is there' : 'of the SHA-256 that the manifest names';
  const combined = parents.length > 0 && !isWalg(manifest) ? `, combined with the ${parents.length} before it` : '';
  return [{ name: 'unpack', state: 'ok', text: `${formatBytes(baseBytes(manifest))}, ${proven}${combined}` }];
}

/** How far a proof replays. Everything archived is replayed as a restore to `--latest` does it, out of the stores of `ctx` alone. */
async function courseOf(ctx: Context, place: Private, { manifest, parents = [], latest }: ProofRequest): Promise<Recovery> {
  if (!latest) return ownEnd(ctx, place, manifest);
  const stores = ctx.stores.map(({ name }) => name);
  const known = [...parents, manifest].map(each => ({ manifest: each, stores }));
  const plan = await planRestore(ctx, { want: { latest: true, backup: manifest.id } }, known).catch(error => {
    // What a restore refuses for a hole in the log is a fault of what is stored, and none of this host.
    throw error instanceof BkpError && error.exit === 'refused' ? new BkpError('verifyFailed', error.message, { cause: error }) : error;
  });
  const [silent] = plan.held.unreachable;
  if (silent) throw new BkpError('storeUnreachable', `store ${silent.store} does not list its WAL: ${silent.reason}`);
  return recoveryOf(ctx, plan, place);
}

/**
 * What the source had is compared at the backup's own end: what came and went later is no fault of the backup.
 * @returns undefined when nobody can look into the copy there
 */
async function compareAtOwnEnd(ctx: Context, place: Private, { manifest }: ProofRequest): Promise<Compared | undefined> {
  let compared: Compared | undefined;
  try {
    const seen = await atOwnEnd(ctx, place, await ownEnd(ctx, place, manifest), STRICT, async () => {
      compared = await compare(ctx, place, manifest);
    });
    return seen ? compared : undefined;
  } catch (error) {
    ctx.signal.throwIfAborted();
    const trial = judged(compared ? 'stop' : 'baseline', error);
    return { drifted: new Set(), ...compared, trials: [...(compared?.trials ?? []), trial] };
  }
}

/** What differs once later changes were replayed may be theirs. */
const softened = ({ trials, drifted }: Compared): Compared => ({
  drifted,
  trials: trials.map(trial =>
    trial.state === 'fail'
      ? {
          ...trial,
          state: 'unproven',
          text: `after all was replayed, ${trial.text}`,
          mend: 'bkp verify postgres --deep looks at the backup alone',
        }
      : trial,
  ),
});

/** What was replayed in the end: the newest commit of all that was archived, or no more than the backup itself. */
function replayed(trial: Trial, { manifest, latest }: ProofRequest, { reach }: Recovery, { log, fork }: Recovered): Trial {
  if (!latest) return trial;
  const own = new Date(manifest.recoveryPointAt);
  const commit = commitTime(log);
  const reachedAt = commit && commit > own ? commit : own;
  const what =
    commit && commit > own ? `whose newest commit is of ${commit.toISOString()}` : 'in which nothing was committed after the backup';
  const text = `a private server replayed ${reach.segments.length} segment(s) to ${formatLsn(fork)}, ${what}, and took connections`;
  return { ...trial, text, reachedAt };
}

/** What stood prepared when the backup ended keeps others from its tables, also from reading them. */
async function ended(ctx: Context, place: Private): Promise<Trial[]> {
  const count = await endPrepared(ctx, place);
  if (count === 0) return [];
  const text = `${count} came along, and hold their locks after a restore too; this copy has them rolled back, so that all tables can be read`;
  return [{ name: 'prepared transactions', state: 'note', text, mend: 'after a restore: SELECT * FROM pg_prepared_xacts, and end each' }];
}

/** Recovery, what is tried on the promoted server, and its end. The server is down when this answers. */
async function rehearse(ctx: Context, place: Private, request: ProofRequest, before: Compared | undefined): Promise<Trial[]> {
  const { manifest, enter } = request;
  const trials: Trial[] = [];
  const began = ctx.clock.now().getTime();
  ctx.report.emit({ type: 'started', what: 'recovery' });
  enter?.('start');
  try {
    const recovery = await courseOf(ctx, place, request);
    const use = async (): Promise<void> => {
      enter?.('prove');
      const seconds = tenths(ctx.clock.now().getTime() - began);
      trials.push({ name: 'recovery', state: 'ok', text: 'a private server replayed it to its end and took connections', seconds });
      trials.push(...(await ended(ctx, place)));
      const found = before ?? (await compare(ctx, place, manifest));
      const compared = before || !request.latest ? found : softened(found);
      if (!before) trials.push(...compared.trials);
      trials.push(...(await exercise(ctx, place, manifest, compared)));
    };
    const recovered = await recover(ctx, place, recovery, use, STRICT);
    checkReached(recovery, recovered);
    trials[0] = replayed(trials[0]!, request, recovery, recovered);
    trials.push({ name: 'stop', state: 'ok', text: `shut down clean; recovery had ended at ${formatLsn(recovered.fork)}` });
  } catch (error) {
    ctx.signal.throwIfAborted();
    trials.push(judged(trials.length === 0 ? 'recovery' : 'stop', error));
  }
  enter?.('prove');
  return trials;
}

/** Reads what the private server has to be told of its own data, and writes its files. */
async function readied(ctx: Context, place: Private): Promise<Trial[]> {
  await prepare(ctx, place);
  return [];
}

const isOver = (trials: readonly Trial[]): boolean => trials.some(({ state }) => state === 'fail' || state === 'unproven');

/**
 * Restores a base to its own end, or with all that was archived on top of it, on a private server and tries everything on it that
 * PostgreSQL's own tools can try: pg_verifybackup before recovery, the recorded baseline, pg_amcheck, the checks of the entry, a write, a
 * clean stop, pg_checksums. pg_resetwal is never a way.
 * @throws BkpError('storeUnreachable') when the store falls silent; the signal's reason
 */
export async function* prove(ctx: Context, request: ProofRequest): AsyncGenerator<Trial> {
  let place: Private;
  try {
    place = await proofPlace(ctx, request);
  } catch (error) {
    ctx.signal.throwIfAborted();
    yield judged('preflight', error, ['verifyFailed']);
    return;
  }
  const spaces = proofSpaces(request);
  const unpacked = await timed(ctx, 'unpack', () => unpack(ctx, place, spaces, request));
  yield* unpacked;
  if (isOver(unpacked)) return;
  request.enter?.('prove');
  yield* await timed(ctx, 'pg_verifybackup', () => verifyFiles(ctx, place, request.manifest));
  await redirect(place, spaces);
  const ready = await timed(ctx, 'recovery', () => readied(ctx, place));
  yield* ready;
  if (isOver(ready)) return;
  const before = request.latest ? await compareAtOwnEnd(ctx, place, request) : undefined;
  yield* before?.trials ?? [];
  const rehearsed = await rehearse(ctx, place, request, before);
  yield* rehearsed;
  if (rehearsed.some(({ name, state }) => name === 'stop' && state === 'ok'))
    yield* await timed(ctx, 'pg_checksums', () => verifyPages(ctx, place));
}
