import { anomalyOf, plainBytes } from '../core/anomaly.ts';
import { isIncremental } from '../core/chain.ts';
import type { Facts, Known, Manifest, Piece, Store, Target, TargetContext } from '../core/contracts.ts';
import { BkpError, type ExitName, sentence } from '../core/errors.ts';
import { makeId } from '../core/id.ts';
import { environmentBase } from '../core/key.ts';
import { decodeManifest, encodeManifest } from '../core/manifest.ts';
import { putBytes } from '../flow/bytes.ts';
import { sealPiece } from '../flow/seal.ts';
import { lineFor } from '../flow/stages.ts';
import { backupPrefix, catalog, manifestKey, storedBytes } from './catalog.ts';
import { gathered } from './gathered.ts';
import { heal, healChain, newestWithChains } from './heal.ts';
import { type Hooks, withHooks } from './hooks.ts';
import { holdNeeded } from './lock.ts';
import { pinning } from './records/pin.ts';
import { refuseRestoring } from './records/restoring.ts';
import { recordRun } from './records/run.ts';
import { assertTrusted } from './signer.ts';

export interface BackupOptions {
  newLineage: boolean;
  /** A full one, also where the config lets it be incremental. */
  full?: boolean;
  /** Percent of the usual size below which the backup is an anomaly; 0 = never. */
  alarmBelow: number;
  /** The source really became smaller: this size is the usual one from now on. */
  acceptSize: boolean;
  /** How far back a restore may choose the instant, ms: older parts of the log are not copied between stores. */
  window?: number;
  /** At least eight random bytes, for the id and a pin. */
  random: Uint8Array;
  /** Name and version of this program, for the manifest. */
  tool: string;
  /** It is a part of the restore itself: what is there now, before it is written over. */
  evenWhileRestoring?: boolean;
  /** Programs that run around it. */
  hooks?: Hooks;
  /** A warning that the backup is to carry beside its own. */
  alsoWarn?: string;
  /** When the data was taken, where another tool did that earlier; else it is now. */
  startedAt?: Date;
}

export interface BackupResult {
  manifest: Manifest;
  bytes: number;
  /** Every store of the target: whether it holds the backup, else why not. */
  stores: { name: string; ok: boolean; error?: string }[];
  healed: { id: string; store: string }[];
  /** What should be in it and is not. */
  lacks: readonly string[];
  /** Why the hook after it failed. */
  hookError?: string;
  /** 'failed' = it is there and whole, and so much smaller than those before that it counts as failed. */
  exit: 'done' | 'partial' | 'failed';
}

type Failures = Map<Store, unknown>;

type Pieces = Manifest['pieces'][number][];

/** Plain bytes of a piece in the backup before. */
type Before = (name: string) => number | undefined;

/** An increment and a full backup say nothing of each other's size. @param incremental which of them is being made, asked once a piece begins */
function piecesBefore(known: readonly Known[], incremental: () => boolean): Before {
  const newestFirst = known.map(({ manifest }) => manifest).sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  return name => {
    const pieces = newestFirst.find(each => isIncremental(each) === incremental())?.pieces ?? [];
    return pieces.flatMap(piece => ('objects' in piece && piece.name === name ? [piece.bytes] : []))[0];
  };
}

/** Sends every piece down the line, into `pieces`; the capture is told when it is cut short, so that it lets go of what it holds. */
async function takePieces(
  source: AsyncGenerator<Piece, Facts>,
  ctx: TargetContext,
  id: string,
  pieces: Pieces,
  failures: Failures,
  before: Before,
): Promise<Facts> {
  try {
    for (let step = await source.next(); ; step = await source.next()) {
      if (step.done) return step.value;
      pieces.push(await takePiece(step.value, ctx, id, failures, before(step.value.name)));
    }
  } finally {
    await source.return(undefined as never);
  }
}

async function takePiece(
  piece: Piece,
  ctx: TargetContext,
  id: string,
  failures: Failures,
  expected: number | undefined,
): Promise<Pieces[number]> {
  if ('held' in piece) {
    for (const { store, error } of piece.failed ?? []) failures.set(store, error);
    return { name: piece.name, held: piece.held };
  }
  const stores = ctx.stores.filter(store => !failures.has(store));
  const { ref, failed } = await sealPiece(piece.name, piece.bytes, {
    ...ctx,
    keyPrefix: backupPrefix(ctx.base, id),
    stores,
    recipients: ctx.keys.recipients,
    sealed: piece.sealed ?? false,
    ...(expected === undefined ? {} : { expected }),
  });
  for (const { store, error } of failed) failures.set(store, error);
  return ref;
}

/** The manifest goes last, and only into stores that hold every piece: with it the backup begins to exist there. */
async function commit(target: Target, ctx: TargetContext, manifest: Manifest, known: readonly Known[], failures: Failures): Promise<void> {
  const bytes = encodeManifest(manifest, ctx.keys.sign);
  decodeManifest(bytes, () => true, `the manifest of ${manifest.id}`);
  const tried = ctx.stores.filter(store => !failures.has(store));
  for (const store of tried) {
    try {
      await healChain(target, ctx, manifest, known, store);
      await refuseOrphaned(ctx, manifest, store);
      await putBytes(store, manifestKey(ctx.base, manifest.id), bytes, { ifAbsent: true, lasting: true });
    } catch (error) {
      failures.set(store, error);
    }
  }
  if (ctx.stores.length - failures.size >= ctx.need) return;
  await withdraw(ctx, manifest.id, tried, failures);
  const unfounded = tried.length >= ctx.need && tried.every(store => isUnfounded(failures.get(store)));
  throw new BkpError(
    unfounded ? 'failed' : 'storeUnreachable',
    `backup ${manifest.id} is in ${ctx.stores.length - failures.size} of ${ctx.need} needed store(s): ${[...failures].map(([store, error]) => `${store.name}: ${sentence(error)}`).join('; ')}`,
  );
}

/** The store is well; what the backup builds on is not in it. */
const isUnfounded = (error: unknown): boolean => error instanceof BkpError && ['failed', 'notFound', 'verifyFailed'].includes(error.exit);

/** Prune may have taken away what an increment builds on while it was taken. */
async function refuseOrphaned(ctx: TargetContext, { needs }: Manifest, store: Store): Promise<void> {
  for (const need of needs) {
    if (!('backup' in need) || (await store.stat(manifestKey(ctx.base, need.backup)))) continue;
    throw new BkpError('failed', `it does not hold backup ${need.backup}, on which this one builds`);
  }
}

/** Takes the manifest out again wherever this run may have put it; a conflict means that the one there is another run's. */
async function withdraw(ctx: TargetContext, id: string, tried: readonly Store[], failures: Failures): Promise<void> {
  for (const store of tried) {
    const error = failures.get(store);
    if (error instanceof BkpError && error.exit === 'conflict') continue;
    const key = manifestKey(ctx.base, id);
    const [result] = await store.remove([key]).catch(reason => [{ key, ok: false, reason: sentence(reason) }]);
    if (result && !result.ok)
      ctx.report.emit({ type: 'warning', text: `store ${store.name} keeps the manifest of the failed run: ${key}: ${result.reason}` });
  }
}

/** Pieces without a manifest are no backup; they are removed where the store lets us, and swept by prune where it does not. */
async function discard(ctx: TargetContext, pieces: Pieces): Promise<void> {
  // What makes a held piece exist goes first.
  const keys = pieces.flatMap(piece =>
    ('objects' in piece ? piece.objects : [...(piece.held.objects ?? [])].reverse()).map(({ key }) => key),
  );
  if (keys.length === 0) return;
  for (const store of ctx.stores) {
    const results = await store.remove(keys).catch(error => [{ key: keys[0] ?? '', ok: false, reason: sentence(error) }]);
    const failed = results.find(result => !result.ok);
    if (failed)
      ctx.report.emit({ type: 'warning', text: `store ${store.name} keeps pieces of the failed run: ${failed.key}: ${failed.reason}` });
  }
}

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

/** What came of one try to take a backup that is in enough stores. */
interface Made {
  id: string;
  manifest: Manifest;
  facts: Facts;
  failures: Failures;
}

const whatOf = ({ kind, name }: TargetContext, id: string): string => `backup ${kind}/${name} ${id}`;

/** Takes one and commits it; when that fails, nothing of it is left. @param onParent hears that it is made from another one */
async function make(
  target: Target,
  ctx: TargetContext,
  startedAt: Date,
  known: readonly Known[],
  options: BackupOptions,
  onParent: () => void,
): Promise<Made> {
  const id = makeId(startedAt, options.random);
  const failures: Failures = new Map();
  ctx.report.emit({ type: 'started', what: whatOf(ctx, id) });
  const pieces: Pieces = [];
  const parent = pinning(ctx, 'increment', options.random);
  let incremental = false;
  const pin = async (parentId: string): Promise<void> => {
    incremental = true;
    onParent();
    await parent.begin(parentId);
  };
  try {
    const { newLineage, full = false } = options;
    const facts = await takePieces(
      target.capture(ctx, { id, newLineage, full, known, pin }),
      ctx,
      id,
      pieces,
      failures,
      piecesBefore(known, () => incremental),
    );
    ctx.signal.throwIfAborted();
    if (pieces.length === 0) throw new BkpError('failed', `${ctx.kind}/${ctx.name} gave nothing to back up: that is no backup`);
    const manifest = judged(assemble(ctx, id, startedAt, options, pieces, facts), facts, known, options);
    await commit(target, ctx, manifest, known, failures);
    return { id, manifest, facts, failures };
  } catch (error) {
    await discard(ctx, pieces);
    throw error;
  } finally {
    await parent.end();
  }
}

const mayPass = (error: unknown): boolean => error instanceof BkpError && (error.exit === 'failed' || error.exit === 'verifyFailed');

/** Whatever keeps an increment from being made, a full backup may still be taken: it is, under another id, and says so. */
async function withoutFail(
  target: Target,
  ctx: TargetContext,
  startedAt: Date,
  known: readonly Known[],
  options: BackupOptions,
): Promise<Made> {
  let incremental = false;
  try {
    return await make(target, ctx, startedAt, known, options, () => {
      incremental = true;
    });
  } catch (error) {
    if (!incremental || ctx.signal.aborted || !mayPass(error)) throw error;
    const warning = `the incremental backup failed, and a full one was taken instead: ${sentence(error)}`;
    const again = { ...options, full: true, random: options.random.subarray(3), alsoWarn: warning };
    return make(target, ctx, startedAt, known, again, () => {});
  }
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
  for (const text of unheld) ctx.report.emit({ type: 'warning', text });
  const lacks = [...(facts.lacks ?? []), ...unheld];
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

/** What is sharply smaller than usual, or has lost a part, is kept, since it may be all that there is, and counts as failed. */
function judged(manifest: Manifest, { emptied }: Facts, known: readonly Known[], options: BackupOptions): Manifest {
  if (options.acceptSize) return { ...manifest, sizeAccepted: true };
  const lost = emptied === undefined ? [] : [emptied];
  if (options.alarmBelow === 0) return { ...manifest, warnings: [...manifest.warnings, ...lost] };
  const earlier = known.map(each => each.manifest);
  const small = anomalyOf(plainBytes(manifest), earlier, options.alarmBelow);
  const faults = [...lost, ...(small === undefined ? [] : [small])];
  return faults.length > 0 ? { ...manifest, anomaly: faults.join('; ') } : manifest;
}

/** An upload that was begun so long ago belongs to a run that is dead: no run lasts that long without a newer block. */
const STALE_MS = 24 * 3_600_000;

/** Uploads of our own earlier runs that were killed: they show in no listing and are paid for. Only a warning when it cannot be done. */
async function sweep(ctx: TargetContext): Promise<void> {
  const before = new Date(ctx.clock.now().getTime() - STALE_MS);
  for (const store of ctx.stores) {
    const swept = await (store.sweep?.(`${ctx.base}/`, before) ?? Promise.resolve([])).catch(error => [
      { key: ctx.base, ok: false, reason: sentence(error) },
    ]);
    const failed = swept.find(({ ok }) => !ok);
    if (failed) ctx.report.emit({ type: 'warning', text: `store ${store.name} keeps a dead upload: ${failed.key}: ${failed.reason}` });
    else if (swept.length > 0)
      ctx.report.emit({ type: 'note', text: `store ${store.name}: ${swept.length} dead upload(s) of earlier runs were removed` });
  }
}

/** The backup is there whatever comes of this, so what fails is a warning. */
async function healLog(
  target: Target,
  ctx: TargetContext,
  lineage: string,
  kept: { known: readonly Known[]; cutoff?: Date },
): Promise<void> {
  try {
    const copied = (await target.healLog?.(ctx, lineage, kept)) ?? 0;
    if (copied > 0) ctx.report.emit({ type: 'note', text: `${copied} file(s) of the log were missing in a store and are there now` });
  } catch (error) {
    ctx.report.emit({ type: 'warning', text: `the log could not be compared between the stores: ${sentence(error)}` });
  }
}

const outcome = (store: Store, failures: Failures): BackupResult['stores'][number] =>
  failures.has(store) ? { name: store.name, ok: false, error: sentence(failures.get(store)) } : { name: store.name, ok: true };

function assemble(
  ctx: TargetContext,
  id: string,
  startedAt: Date,
  { tool, alsoWarn }: BackupOptions,
  pieces: Pieces,
  facts: Facts,
): Manifest {
  const sealed = pieces.some(piece => 'objects' in piece);
  return {
    version: 1,
    id,
    env: ctx.env,
    kind: ctx.kind,
    name: ctx.name,
    engine: (ctx.config as { engine?: string }).engine ?? 'native',
    identity: facts.identity,
    ...(facts.lineage ? { lineage: facts.lineage } : {}),
    startedAt: startedAt.toISOString(),
    recoveryPointAt: facts.at.toISOString(),
    finishedAt: ctx.clock.now().toISOString(),
    line: sealed ? lineFor(ctx.keys) : [],
    recipients: sealed ? ctx.keys.recipients : [],
    pieces,
    needs: facts.needs,
    ...(facts.contentBytes === undefined ? {} : { contentBytes: facts.contentBytes }),
    ...(facts.addedBytes === undefined ? {} : { addedBytes: facts.addedBytes }),
    ...(facts.wal ? { wal: facts.wal } : {}),
    ...(facts.tablespaces?.length ? { tablespaces: facts.tablespaces } : {}),
    baseline: facts.baseline,
    versions: { ...facts.versions, tool },
    notCovered: facts.notCovered,
    warnings: [...(facts.lacks ?? []), ...(alsoWarn ? [alsoWarn] : []), ...facts.warnings],
  };
}
