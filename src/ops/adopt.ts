import { createHash } from 'node:crypto';
import type { Found, Known, Manifest, Need, Pending, Target, TargetContext } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { makeId } from '../core/id.ts';
import { decodeManifest, encodeManifest } from '../core/manifest.ts';
import { putBytes } from '../flow/bytes.ts';
import { backupTarget } from './backup/index.ts';
import { catalog, heldOf, manifestKey } from './catalog.ts';
import { assertTrusted } from './signer.ts';

/** A backup that another tool had taken, and that is one of ours from now on. */
export interface Adoption {
  id: string;
  /** The other tool's name for it. */
  name: string;
  stores: string[];
  recoveryPointAt: string;
}

/** The same backup gets the same id, whoever adopts it and when. */
const idOf = ({ startedAt, held }: Found): string => makeId(startedAt, createHash('sha256').update(`${held.under}/${held.id}`).digest());

/** What it builds on, by our own id of it. */
const named = (need: Need, known: readonly Manifest[]): Need => {
  if (!('held' in need)) return need;
  const { id, detail } = need.held;
  const parent = known.find(manifest => heldOf(manifest).some(held => held.id === id && held.detail?.['prefix'] === detail?.['prefix']));
  return parent ? { backup: parent.id } : need;
};

function manifestOf(ctx: TargetContext, found: Found, known: readonly Manifest[], tool: string): Manifest {
  const { at, lineage, wal, contentBytes, ...facts } = found.facts;
  const instant = at.toISOString();
  return {
    version: 1,
    id: idOf(found),
    env: ctx.env,
    kind: ctx.kind,
    name: ctx.name,
    engine: found.held.by,
    identity: facts.identity,
    ...(lineage ? { lineage } : {}),
    startedAt: found.startedAt.toISOString(),
    recoveryPointAt: instant,
    finishedAt: instant,
    line: [],
    recipients: [],
    pieces: [{ name: 'base', held: found.held }],
    needs: facts.needs.map(need => named(need, known)),
    ...(wal ? { wal } : {}),
    ...(facts.tablespaces?.length ? { tablespaces: facts.tablespaces } : {}),
    ...(contentBytes === undefined ? {} : { contentBytes }),
    baseline: facts.baseline,
    versions: { ...facts.versions, tool },
    notCovered: facts.notCovered,
    warnings: facts.warnings,
  };
}

async function sign(ctx: TargetContext, manifest: Manifest, found: Found): Promise<string[]> {
  const bytes = encodeManifest(manifest, ctx.keys.sign);
  decodeManifest(bytes, () => true, `the manifest of ${found.held.id}`);
  const held: string[] = [];
  for (const store of found.stores) {
    try {
      await putBytes(store, manifestKey(ctx.base, manifest.id), bytes, { ifAbsent: true, lasting: true });
      held.push(store.name);
    } catch (error) {
      ctx.report.emit({ type: 'warning', text: `store ${store.name} did not take the manifest of ${found.held.id}: ${sentence(error)}` });
    }
  }
  return held;
}

async function storeOne(target: Target, ctx: TargetContext, each: Pending, tool: string): Promise<Adoption> {
  const { manifest, stores } = await backupTarget({ ...target, capture: (_, { known }) => each.capture(known) }, ctx, {
    newLineage: false,
    alarmBelow: 0,
    acceptSize: false,
    startedAt: each.startedAt,
    random: each.random,
    tool,
  });
  const held = stores.filter(({ ok }) => ok).map(({ name }) => name);
  return { id: manifest.id, name: each.name, stores: held, recoveryPointAt: manifest.recoveryPointAt };
}

/**
 * Stores what another tool took by itself and left where it was, each as a backup of its own at its own time. One that fails is a warning and
 * keeps no other one away.
 * @param tool name and version of this program
 * @returns those that are stored now; none for a kind that knows of none
 */
export async function storePending(target: Target, ctx: TargetContext, tool: string): Promise<Adoption[]> {
  if (!target.pending) return [];
  const { known } = await catalog(ctx.stores, ctx.base, ctx.keys);
  const adopted: Adoption[] = [];
  for await (const each of target.pending(ctx, known)) {
    try {
      adopted.push(await storeOne(target, ctx, each, tool));
    } catch (error) {
      ctx.signal.throwIfAborted();
      ctx.report.emit({ type: 'warning', text: `${ctx.kind}/${ctx.name}: ${each.name} is not stored: ${sentence(error)}` });
    }
  }
  return adopted;
}

async function* signed(target: Target, ctx: TargetContext, tool: string): AsyncGenerator<Adoption> {
  if (!target.adopt) return;
  const { known } = await catalog(ctx.stores, ctx.base, ctx.keys);
  const manifests = known.map((each: Known) => each.manifest);
  for await (const found of target.adopt(ctx, known)) {
    const manifest = manifestOf(ctx, found, manifests, tool);
    const stores = await sign(ctx, manifest, found);
    if (stores.length === 0) continue;
    manifests.push(manifest);
    yield { id: manifest.id, name: found.held.id, stores, recoveryPointAt: manifest.recoveryPointAt };
  }
}

/**
 * Signs the backups that another tool has in the stores of a target: from then on they are listed, restored, counted by retention and removed
 * like every other. Nothing of what they consist of is touched. What another tool left outside the stores is stored first.
 * @param tool name and version of this program
 * @throws BkpError('usage') for a kind that adopts nothing, and where this host cannot sign; 'notFound' when there is nothing to adopt
 */
export async function adoptTarget(target: Target, ctx: TargetContext, tool: string): Promise<Adoption[]> {
  if (!target.adopt && !target.pending) throw new BkpError('usage', `${ctx.kind} has nothing that could be adopted`);
  assertTrusted(ctx.keys);
  const adopted = await storePending(target, ctx, tool);
  for await (const each of signed(target, ctx, tool)) adopted.push(each);
  if (adopted.length > 0) return adopted;
  throw new BkpError('notFound', `${ctx.kind}/${ctx.name}: there is no backup that could be adopted`, {
    next: target.adopt
      ? 'the place of an existing archive is `walg: { prefix: … }`; what was left out, and why, is told above'
      : 'every one is stored already, or was left out: why is told above',
  });
}
