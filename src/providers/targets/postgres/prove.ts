import type { Known, ProofRequest, TargetContext, Trial } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { formatLsn } from '../../../core/postgres/lsn.ts';
import { reachOf } from '../../../core/postgres/plan.ts';
import { formatBytes } from '../../../core/size.ts';
import { holdingsOf, readFirstWhole } from './archive.ts';
import { baseBytes, isWalg, unpackBase } from './base.ts';
import type { PostgresConfig } from './config.ts';
import { baseOf } from './plan.ts';
import { controlData, type Private, prepare } from './private.ts';
import { verifyFiles, verifyPages } from './proveFiles.ts';
import { proofPlace, proofSpaces } from './proveHost.ts';
import { judged, tenths, timed } from './proveRun.ts';
import { tryServer } from './proveServer.ts';
import { checkReached, type Recovery, recover } from './recover.ts';
import { completeTablespaces, type Mapped, occupyTablespaces, redirect, unpackTablespaces } from './tablespaces.ts';
import { checkExtracted } from './unpack.ts';
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
  const check = (file: string): Promise<void> => refuseNewSpaces(ctx, place, file);
  return { id: manifest.id, reach, target: { recovery_target: 'immediate' }, older: [], read, check };
}

async function unpack(ctx: Context, place: Private, spaces: readonly Mapped[], { manifest, read }: ProofRequest): Promise<Trial[]> {
  try {
    await occupyTablespaces(ctx, place, spaces);
    await unpackBase(ctx, place, manifest, spaces, ctx.stores, read);
    await checkExtracted(ctx, place, manifest);
    await unpackTablespaces(ctx, place, manifest, spaces, read);
    await completeTablespaces(spaces);
    await refuseSpacesInside(ctx, place);
  } catch (error) {
    ctx.signal.throwIfAborted();
    return [judged('unpack', error, ['verifyFailed'])];
  }
  const proven = isWalg(manifest) ? 'and every file that WAL-G names is there' : 'of the SHA-256 that the manifest names';
  return [{ name: 'unpack', state: 'ok', text: `${formatBytes(baseBytes(manifest))}, ${proven}` }];
}

/** Recovery, what is tried on the promoted server, and its end. The server is down when this answers. */
async function rehearse(ctx: Context, place: Private, { manifest }: ProofRequest): Promise<Trial[]> {
  const recovery = await ownEnd(ctx, place, manifest);
  const trials: Trial[] = [];
  const began = ctx.clock.now().getTime();
  ctx.report.emit({ type: 'started', what: 'recovery' });
  try {
    place.maxPrepared = Number((await controlData(ctx, place)).get('max_prepared_xacts setting') ?? 0);
    await prepare(place);
    const use = async (): Promise<void> => {
      const seconds = tenths(ctx.clock.now().getTime() - began);
      trials.push({ name: 'recovery', state: 'ok', text: 'a private server replayed it to its end and took connections', seconds });
      trials.push(...(await tryServer(ctx, place, manifest)));
    };
    const recovered = await recover(ctx, place, recovery, use, STRICT);
    checkReached(recovery, recovered);
    trials.push({ name: 'stop', state: 'ok', text: `shut down clean; recovery had ended at ${formatLsn(recovered.fork)}` });
  } catch (error) {
    ctx.signal.throwIfAborted();
    trials.push(judged(trials.length === 0 ? 'recovery' : 'stop', error));
  }
  return trials;
}

const isOver = (trials: readonly Trial[]): boolean => trials.some(({ state }) => state === 'fail' || state === 'unproven');

/**
 * Restores a base to its own end on a private server and tries everything on it that PostgreSQL's own tools can try: pg_verifybackup
 * before recovery, the recorded baseline, pg_amcheck, a write, a clean stop, pg_checksums. pg_resetwal is never a way.
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
  yield* await timed(ctx, 'pg_verifybackup', () => verifyFiles(ctx, place, request.manifest));
  await redirect(place, spaces);
  const rehearsed = await rehearse(ctx, place, request);
  yield* rehearsed;
  if (rehearsed.some(({ name, state }) => name === 'stop' && state === 'ok'))
    yield* await timed(ctx, 'pg_checksums', () => verifyPages(ctx, place));
}
