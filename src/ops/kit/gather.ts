import { type Environment, resolveSecrets } from '../../core/config/index.ts';
import type { Manifest, PieceRef } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { makeId } from '../../core/id.ts';
import { type RunbookHelp, runbook } from '../../core/kit/runbook.ts';
import { saidBy } from '../../core/kit/said.ts';
import { CONFIG, IDENTITY, type KitMeta, type KitTarget, META, RUNBOOK } from '../../core/kit/types.ts';
import { encodeSigned } from '../../core/signed.ts';
import { assertOpens } from '../../flow/age.ts';
import { type KitFiles, sha256 } from '../../flow/kit/archive.ts';
import { recipientsOf } from '../../flow/kit/seal.ts';
import { openPiece } from '../../flow/open.ts';
import { catalog } from '../catalog.ts';
import { newestGood } from '../prove.ts';
import { SEALING_KEYS, sealingKeys } from './cluster.ts';
import { includedFiles, portableConfig, storeKeysOf } from './secrets.ts';
import { environmentsOf, type KitSource, type OpenedTarget, onlyNear, parsedAlike } from './source.ts';

export interface GatherOptions {
  /** False = the cluster of the environment is not asked. */
  cluster: boolean;
  /** At least three bytes. */
  random: Uint8Array;
  tool: string;
}

/** A kit before it is sealed. */
export interface Gathered {
  meta: KitMeta;
  files: KitFiles;
}

const warnOf =
  ({ opened }: KitSource) =>
  (text: string): void =>
    opened[0]!.ctx.report.emit({ type: 'warning', text });

/** The identity that opens what is sealed today. Throws BkpError('usage') where there is none, or another one. */
async function identityOf({ config, opened }: KitSource): Promise<string | undefined> {
  if (config.keys.unencrypted && config.keys.identity === undefined) return undefined;
  const { keys } = opened[0]!.ctx;
  const identity = keys.identity();
  if (keys.recipients.length > 0) await assertOpens(identity, keys.recipients);
  return identity;
}

async function newestOf({ ctx }: OpenedTarget, warn: (text: string) => void): Promise<Manifest | undefined> {
  const what = `${ctx.kind}/${ctx.name}`;
  try {
    const { known, problems } = await catalog(ctx.stores, ctx.base, ctx.keys);
    for (const { store, error } of problems) warn(`${what}, store ${store}: ${error}`);
    if (known.length === 0) warn(`${what} has no backup yet: the kit restores nothing of it`);
    return newestGood(known);
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    warn(`${what} could not be looked at: ${error.message}`);
    return undefined;
  }
}

/** One entry: what it looked like, what it needs, and the secrets that only its backups have. */
async function ofTarget(each: OpenedTarget, files: Map<string, Buffer>, tokens: KitMeta['tokens'][number][], warn: (text: string) => void) {
  const { target, ctx } = each;
  const id = `${ctx.kind}/${ctx.name}`;
  const near = onlyNear(each);
  if (near) warn(near);
  const newest = await newestOf(each, warn);
  const read = (piece: PieceRef) => openPiece(piece, newest!.line, ctx.stores, { ...ctx, recipients: newest!.recipients });
  for await (const { name, bytes, fingerprint } of target.kit?.secrets?.(ctx, newest, read) ?? []) {
    const file = `tokens/${id}/${name}`;
    files.set(file, bytes);
    tokens.push({ target: id, file, fingerprint });
  }
  const told: KitTarget = {
    kind: ctx.kind,
    name: ctx.name,
    ...(newest ? { newest: { id: newest.id, at: newest.recoveryPointAt } } : {}),
    tools: target.kit?.tools(ctx, newest) ?? [],
  };
  const help: RunbookHelp = { ...(target.kit?.place ? { place: target.kit.place } : {}), steps: target.kit?.steps?.(ctx, newest) ?? [] };
  return { id, told, help };
}

async function fromCluster(source: KitSource, options: GatherOptions, files: Map<string, Buffer>): Promise<Pick<KitMeta, 'cluster'>> {
  const { cluster } = source.config.environments[source.env]!;
  if (!cluster || !options.cluster) return {};
  const { keys, file } = await sealingKeys(source.opened[0]!.ctx, cluster);
  if (file) files.set(SEALING_KEYS, file);
  return { cluster: { sealingKeys: keys } };
}

/** The record of what is in the kit, signed where this host signs. */
function recordOf(meta: KitMeta, source: KitSource, warn: (text: string) => void): Buffer {
  const { keys } = source.opened[0]!.ctx;
  try {
    return encodeSigned(meta, bytes => keys.sign(bytes));
  } catch (error) {
    warn(`the kit is not signed: ${sentence(error)}`);
    return Buffer.from(`${JSON.stringify(meta)}\n`);
  }
}

interface Parts {
  files: Map<string, Buffer>;
  config: ReturnType<typeof portableConfig>;
  opens: readonly string[];
  included: readonly string[];
}

/** What of a kit comes from this host: config, secrets, identity, files. */
async function fromHost(source: KitSource): Promise<Parts> {
  const [identity, config, included] = [await identityOf(source), portableConfig(source), await includedFiles(source)];
  const files = new Map([...config.files, ...included, [CONFIG, Buffer.from(config.text)] as const]);
  if (identity) files.set(IDENTITY, Buffer.from(`${identity.trim()}\n`));
  return {
    files,
    config,
    opens: identity ? await recipientsOf(identity) : [],
    included: [...included.keys()].map(file => file.slice('files'.length)),
  };
}

/** An environment as the runbook shows it: what says where something is, is read; secrets stay references. */
function shown({ config, secrets }: KitSource, name: string): Environment {
  const { stores, targets, ...rest } = config.environments[name]!;
  return { ...rest, ...resolveSecrets({ stores, targets }, `environments.${name}`, { ...secrets, keep: true }) };
}

const listed = (files: KitFiles): KitMeta['files'] =>
  Object.fromEntries([...files].map(([name, bytes]) => [name, { bytes: bytes.length, sha256: sha256(bytes) }]));

type Told = Awaited<ReturnType<typeof ofTarget>>;

/** The record without its list of files. */
const about = (
  source: KitSource,
  { opens, config }: Parts,
  targets: readonly Told[],
  options: GatherOptions,
): Omit<KitMeta, 'files' | 'cluster' | 'tokens'> => {
  const { clock, keys } = source.opened[0]!.ctx;
  const now = clock.now();
  return {
    version: 1,
    id: makeId(now, options.random),
    env: source.env,
    madeAt: now.toISOString(),
    tool: options.tool,
    opens,
    sealedFor: keys.recipients,
    secrets: config.secrets,
    leftOut: config.leftOut,
    storeKeys: storeKeysOf(source),
    targets: targets.map(({ told }) => told),
    said: saidBy(parsedAlike(source), environmentsOf(source), text => sha256(text).slice(0, 16)),
  };
};

function runbookOf(source: KitSource, meta: Omit<KitMeta, 'files'>, targets: readonly Told[], included: readonly string[]): Buffer {
  const help = new Map(targets.map(each => [each.id, each.help]));
  const [env, origin] = [shown(source, source.env), shown(source, source.origin)];
  return Buffer.from(runbook({ meta, env, origin, help, included }));
}

/**
 * All that a clean machine needs, in memory.
 * @throws BkpError('usage') where a secret that a restore needs is not on this host; 'failed' when the cluster does not answer
 */
export async function gather(source: KitSource, options: GatherOptions): Promise<Gathered> {
  const warn = warnOf(source);
  const parts = await fromHost(source);
  const { files, config } = parts;
  for (const { path, why } of config.leftOut) warn(`${path} is not in the kit: ${why}`);
  const tokens: KitMeta['tokens'][number][] = [];
  const targets: Told[] = [];
  for (const each of source.opened) targets.push(await ofTarget(each, files, tokens, warn));
  const cluster = await fromCluster(source, options, files);
  const meta = { ...about(source, parts, targets, options), ...cluster, tokens };
  files.set(RUNBOOK, runbookOf(source, meta, targets, parts.included));
  const whole: KitMeta = { ...meta, files: listed(files) };
  return { meta: whole, files: new Map([[META, recordOf(whole, source, warn)], ...files]) };
}
