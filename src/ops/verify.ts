import pMap from 'p-map';
import { chainOf, finder } from '../core/chain.ts';
import type { Finding, Known, Manifest, ObjectInfo, PieceRef, Store, StoreLook, Target, TargetContext } from '../core/contracts.ts';
import { BkpError, type ExitName, sentence } from '../core/errors.ts';
import { inSample } from '../core/sample.ts';
import { readBlock } from '../flow/open.ts';
import { allObjects, backupPrefix, catalog, heldObjects, lacking, manifestKey, type Problem, streamed } from './catalog.ts';
import { isProven, type Proof, proveNewest } from './prove.ts';
import { recordRun } from './records/run.ts';
import { sealedForOthers } from './sealedFor.ts';

export interface VerifyOptions {
  /** Every byte is read back, and the newest good backup of each store is restored and tried. */
  deep: boolean;
  /** False = nothing is restored. */
  prove?: boolean;
  /** Share of the bytes that is read back, in percent; another share each day. */
  sample?: number;
  /** How far back the retention of the config lets a restore choose the instant, ms; what the log lacks before that is no fault. */
  window?: number;
  /** At least eight random bytes, anew at each call: for pins, and for the record of the run in each store. */
  random: () => Uint8Array;
}

/** What one store showed. */
export interface Verified {
  store: string;
  /** Backups whose signed manifest is in it, and those of them that are whole. */
  backups: number;
  whole: number;
  /** Objects of its backups and other things, and bytes that were read back. */
  objects: number;
  bytesRead: number;
  /** How its newest good backup came back; absent when that was not tried. */
  proof?: Proof;
  findings: Finding[];
}

const AT_ONCE = 4;

type StoredObject = PieceRef['objects'][number];

const pieceObjects = (known: readonly Known[]): { id: string; piece: PieceRef; object: StoredObject }[] =>
  known.flatMap(({ manifest }) => streamed(manifest).flatMap(piece => piece.objects.map(object => ({ id: manifest.id, piece, object }))));

/** What breaks with a backup: itself, and each that builds on it. */
const brokenWith = (id: string, known: readonly Known[]): string[] => {
  const find = finder(known.map(({ manifest }) => manifest));
  const needs = ({ manifest }: Known): boolean => {
    const { members, missing } = chainOf(manifest, find);
    return missing.includes(id) || members.some(member => member.id === id);
  };
  return [`backup ${id}`, ...known.filter(needs).map(({ manifest }) => `backup ${manifest.id}, which builds on ${id}`)];
};

/** What backups of a store build on and the store does not hold: out of it alone they cannot be restored. */
function orphaned(base: string, known: readonly Known[], store: string): Finding[] {
  const find = finder(known.map(({ manifest }) => manifest));
  const ids = new Set(known.flatMap(({ manifest }) => chainOf(manifest, find).missing));
  return [...ids].map(id => ({
    store,
    state: 'missing',
    key: manifestKey(base, id),
    text: `backup ${id}, on which others build, is not in it`,
    breaks: brokenWith(id, known).slice(1),
  }));
}

/** Objects that a manifest names and the listing lacks or shows at another size. */
function presence(known: readonly Known[], objects: readonly ObjectInfo[], store: string): Finding[] {
  const sizes = new Map(objects.map(({ key, bytes }) => [key, bytes]));
  return known.flatMap(({ manifest }) =>
    lacking(manifest, sizes).map((key): Finding => {
      const has = sizes.get(key);
      const text = has === undefined ? `${key} is missing` : `${key} has ${has} bytes, which is not what was stored`;
      return { store, state: has === undefined ? 'missing' : 'damaged', key, text, breaks: brokenWith(manifest.id, known) };
    }),
  );
}

/** Reads back blocks and compares each with its hash in the signed manifest. */
async function readBack(
  ctx: TargetContext,
  look: StoreLook,
  skip: ReadonlySet<string>,
  wants: (name: string) => boolean,
): Promise<{ findings: Finding[]; bytes: number }> {
  const findings: Finding[] = [];
  let bytes = 0;
  const blocks = pieceObjects(look.known)
    .filter(({ object }) => !skip.has(object.key))
    .flatMap(({ id, piece, object }) => object.blocks.map((_, n) => ({ id, piece, object, n })))
    .filter(({ object, n }) => wants(`${object.key}#${n}`));
  const what = `verify ${look.store.name}`;
  const total = blocks.reduce((sum, { piece, object, n }) => sum + blockLength(piece, object, n), 0);
  await pMap(
    blocks,
    async ({ id, piece, object, n }) => {
      ctx.signal.throwIfAborted();
      try {
        const { length } = await readBlock(look.store, object, n, piece.blockBytes);
        bytes += length;
        ctx.report.emit({ type: 'progress', what, bytes, total });
      } catch (error) {
        findings.push({
          store: look.store.name,
          state: stateOf(error),
          key: object.key,
          text: sentence(error),
          breaks: brokenWith(id, look.known),
        });
      }
    },
    { concurrency: AT_ONCE },
  );
  return { findings, bytes };
}

const blockLength = (piece: PieceRef, object: StoredObject, n: number): number =>
  Math.min(piece.blockBytes, object.bytes - n * piece.blockBytes);

/** A store that cannot be asked for want of a setting says nothing of what is in it. */
const stateOf = (error: unknown): Finding['state'] =>
  error instanceof BkpError && /^(storeUnreachable|usage)$/.test(error.exit) ? 'unreachable' : 'damaged';

/** What lies under the target's prefix and belongs to nothing: it breaks no restore, and somebody should know. Beside a manifest that cannot be read are the parts of that backup. */
function strays(target: Target, ctx: TargetContext, look: StoreLook, unread: readonly string[]): Finding[] {
  const store = look.store.name;
  const folders = unread.map(key => key.slice(0, key.lastIndexOf('/') + 1)).filter(folder => folder !== '');
  const named = new Set(look.known.flatMap(({ manifest }) => [manifestKey(ctx.base, manifest.id)]));
  for (const { object } of pieceObjects(look.known)) named.add(object.key);
  const isStray = (key: string): boolean =>
    key.startsWith(`${ctx.base}/`) && !named.has(key) && !folders.some(folder => key.startsWith(folder));
  return look.objects
    .filter(({ key }) => isStray(key) && !target.owns?.(key.slice(ctx.base.length + 1)))
    .map(({ key, bytes }) => ({
      store,
      state: 'stray',
      key,
      text: `${key} (${bytes} bytes) belongs to no backup: left by a run that did not end, still being written, or put there by something else`,
    }));
}

function problemOf({ store, key, error, later }: Problem): Finding {
  if (key === undefined) return { store, state: 'unreachable', text: error };
  if (later) return { store, state: 'unproven', key, text: error };
  return { store, state: 'damaged', key, text: error, breaks: ['the backup whose manifest it is'] };
}

/** The newest backup has to be in every store that answers; an older one that a store never had is only told. */
function absent(known: readonly Known[], store: string): Finding[] {
  return known
    .filter(({ stores }) => !stores.includes(store))
    .map(({ manifest, stores }) => ({
      store,
      state: manifest === known.at(-1)?.manifest ? 'missing' : 'note',
      text: `backup ${manifest.id} is not in it (${stores.join(', ')} ${stores.length === 1 ? 'has' : 'have'} it); the next backup run copies the newest ones`,
    }));
}

async function shutIn(ctx: TargetContext, known: readonly Known[], store: string): Promise<Finding[]> {
  const text = await sealedForOthers(ctx, known, 'keys.identity of this host');
  return text ? [{ store, state: 'unproven', text: `${text} → put that identity into keys.identity too, a line each` }] : [];
}

async function verifyStore(
  target: Target,
  ctx: TargetContext,
  store: Store,
  all: readonly Known[],
  options: VerifyOptions,
  unread: readonly string[],
): Promise<Verified> {
  const objects = await allObjects(target, ctx, store);
  const now = ctx.clock.now();
  const wants = (name: string): boolean => options.deep || (options.sample !== undefined && inSample(name, options.sample, now));
  const look: StoreLook = {
    store,
    known: all.filter(({ stores }) => stores.includes(store.name)),
    objects,
    deep: wants,
    ...(options.window === undefined ? {} : { cutoff: new Date(now.getTime() - options.window) }),
  };
  const gone = presence(look.known, objects, store.name);
  const { findings, bytes } = await readBack(ctx, look, new Set(gone.map(({ key }) => key!)), wants);
  const bad = [...gone, ...findings, ...orphaned(ctx.base, look.known, store.name)];
  const own: Finding[] = [];
  for await (const finding of target.verify?.(ctx, look) ?? []) own.push(finding);
  const broken = new Set(bad.flatMap(({ key }) => key ?? []));
  const itself = (manifest: Manifest): boolean =>
    bad.some(({ key }) => key?.startsWith(`${backupPrefix(ctx.base, manifest.id)}/`)) ||
    heldObjects(manifest).some(({ key }) => broken.has(key));
  const shut = await shutIn(ctx, look.known, store.name);
  const find = finder(look.known.map(({ manifest }) => manifest));
  const whole = look.known.filter(({ manifest }) => {
    const { members, missing } = chainOf(manifest, find);
    return missing.length === 0 && ![...members, manifest].some(itself);
  });
  const proven =
    options.deep && options.prove !== false
      ? await proveNewest(target, ctx, store, whole, { random: options.random(), by: 'verify' })
      : { findings: [] };
  return {
    store: store.name,
    backups: look.known.length,
    whole: whole.length,
    objects: objects.length,
    bytesRead: bytes,
    ...('proof' in proven ? { proof: proven.proof } : {}),
    findings: [...absent(all, store.name), ...bad, ...own, ...shut, ...proven.findings, ...strays(target, ctx, look, unread)],
  };
}

/**
 * Reads back what the stores hold of one target: manifests and signatures, every object's presence and size, and as many bytes as were
 * asked for. No backup at all counts as missing.
 * @throws BkpError('storeUnreachable') when no store answers
 */
export async function verifyTarget(target: Target, ctx: TargetContext, options: VerifyOptions): Promise<Verified[]> {
  const startedAt = ctx.clock.now().toISOString();
  const results = await lookAtAll(target, ctx, options);
  for (const result of results) await record(ctx, result, startedAt, options);
  return results;
}

/** How it ended is written down in each store that was looked at, so that `status` can tell when that last went well. One that could not look, in part or at all, takes nothing back of what the one before it found. */
async function record(ctx: TargetContext, result: Verified, startedAt: string, options: VerifyOptions): Promise<void> {
  const store = ctx.stores.find(({ name }) => name === result.store);
  const exit = verdict([result]);
  if (!store || exit === 'partial' || result.findings.some(({ state }) => state === 'unreachable')) return;
  const message = result.findings.find(({ state }) => state !== 'note' && state !== 'stray')?.text;
  const { deep, sample, random } = options;
  const { backups, bytesRead, proof } = result;
  const details = {
    deep,
    ...(sample === undefined ? {} : { sample }),
    backups,
    bytesRead,
    ...(proof ? { proof: { backup: proof.backup, seconds: proof.seconds, proven: isProven(proof) } } : {}),
  };
  const finishedAt = ctx.clock.now().toISOString();
  const run = {
    version: 1,
    verb: 'verify',
    startedAt,
    finishedAt,
    exit,
    ...(message ? { message } : {}),
    details,
  } as const;
  await recordRun(ctx, [store], run, random());
}

async function lookAtAll(target: Target, ctx: TargetContext, options: VerifyOptions): Promise<Verified[]> {
  const { known, problems } = await catalog(ctx.stores, ctx.base, ctx.keys);
  const results: Verified[] = [];
  for (const store of ctx.stores) {
    const findings = problems.filter(problem => problem.store === store.name).map(problemOf);
    const none: Verified = { store: store.name, backups: 0, whole: 0, objects: 0, bytesRead: 0, findings };
    if (findings.some(({ state }) => state === 'unreachable')) results.push(none);
    else results.push(await looked(target, ctx, store, known, options, findings));
  }
  if (known.length === 0 && !problems.some(({ later }) => later))
    results[0]?.findings.push({
      store: ctx.stores[0]!.name,
      state: 'missing',
      text: `there is no backup of ${ctx.kind}/${ctx.name} at all`,
    });
  return results;
}

async function looked(
  target: Target,
  ctx: TargetContext,
  store: Store,
  known: readonly Known[],
  options: VerifyOptions,
  findings: Finding[],
): Promise<Verified> {
  try {
    const unread = findings.flatMap(({ key }) => key ?? []);
    const seen = await verifyStore(target, ctx, store, known, options, unread);
    return { ...seen, findings: [...findings, ...seen.findings] };
  } catch (error) {
    ctx.signal.throwIfAborted();
    const fallen: Finding = { store: store.name, state: stateOf(error), text: sentence(error) };
    return { store: store.name, backups: 0, whole: 0, objects: 0, bytesRead: 0, findings: [...findings, fallen] };
  }
}

/** How a verification ends: damage beats silence, and that beats what could not be proven. */
export function verdict(results: readonly Verified[]): ExitName {
  const states = new Set(results.flatMap(({ findings }) => findings.map(({ state }) => state)));
  if (states.has('damaged') || states.has('missing')) return 'verifyFailed';
  if (states.has('unreachable')) return 'storeUnreachable';
  return states.has('unproven') ? 'partial' : 'done';
}
