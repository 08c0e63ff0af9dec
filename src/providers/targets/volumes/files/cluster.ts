import { BkpError } from '../../../../core/errors.ts';
import { kubectlAt } from '../../../../flow/site/kubectl.ts';
import type { FilesConfig } from './config.ts';
import type { Context } from './context.ts';

export type Claims = NonNullable<FilesConfig['claims']>;

export interface Claim {
  metadata: { name: string; labels?: Record<string, string> };
  spec: { accessModes?: string[]; volumeMode?: string; volumeName?: string };
  status?: { phase?: string };
}

export interface Pod {
  metadata: {
    name: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    ownerReferences?: { kind: string; name: string }[];
  };
  spec: { nodeName?: string; volumes?: { persistentVolumeClaim?: { claimName?: string } }[] };
  status?: {
    phase?: string;
    conditions?: { type: string; status: string; message?: string }[];
    containerStatuses?: {
      state?: { waiting?: { reason?: string; message?: string }; terminated?: { reason?: string; exitCode?: number } };
    }[];
  };
}

/** kubectl in the namespace of the claims. */
export async function kubectl(
  { run, signal }: Pick<Context, 'run' | 'signal'>,
  claims: Claims,
  words: readonly string[],
  input?: string,
): Promise<string> {
  const command = kubectlAt(claims, ['--namespace', claims.namespace, '--request-timeout=60s', ...words]);
  return (await run.text(command, { signal, ...(input === undefined ? {} : { input }) })).stdout;
}

/** Objects of a kind. Throws BkpError('failed') when kubectl fails, or says something else than a list. */
export async function listOf<T>(ctx: Context, claims: Claims, kind: string, selector?: string): Promise<T[]> {
  const text = await kubectl(ctx, claims, ['get', kind, ...(selector === undefined ? [] : ['--selector', selector]), '--output', 'json']);
  const { items } = JSON.parse(text) as { items?: T[] };
  if (Array.isArray(items)) return items;
  throw new BkpError('failed', `kubectl get ${kind} answered something that is no list`);
}

/** A claim that a Job can mount: on the node where a pod has it already, or anywhere. */
export interface Mountable {
  name: string;
  node?: string;
  pod?: string;
  /** It is restored into: mounted to be written to. */
  written?: boolean;
}

export interface Skipped {
  name: string;
  reason: string;
}

const isOver = ({ status }: Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';

/** Pods that use a claim and have not ended. Pure. */
export const usersOf = (claim: string, pods: readonly Pod[]): Pod[] =>
  pods.filter(
    pod => !isOver(pod) && (pod.spec.volumes ?? []).some(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === claim),
  );

/**
 * Whether a Job can mount a claim beside the pods that use it, and where. ReadWriteOnce is of one node, and pods of that node may share it;
 * ReadWriteOncePod is of one pod alone. Pure.
 */
export function judge({ metadata: { name }, spec, status }: Claim, pods: readonly Pod[]): Mountable | Skipped {
  if (status?.phase !== 'Bound') return { name, reason: `it is ${status?.phase ?? 'in no phase'}, so it has no volume yet` };
  if (spec.volumeMode === 'Block') return { name, reason: 'it is a block device, which has no files' };
  const [user] = usersOf(name, pods);
  if (!user) return { name };
  if (spec.accessModes?.includes('ReadWriteOncePod'))
    return { name, reason: `its access mode is ReadWriteOncePod, so only pod ${user.metadata.name} may mount it` };
  const { nodeName } = user.spec;
  if (nodeName === undefined) return { name, reason: `pod ${user.metadata.name}, which uses it, is on no node yet` };
  return { name, node: nodeName, pod: user.metadata.name };
}

const withLabels = ({ metadata: { name, labels = {} } }: Claim): string => {
  const all = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return `${name} (${all.length > 0 ? all.join(', ') : 'no labels'})`;
};

/** @throws BkpError('failed') for what is named and not there, and for a selector that matches nothing (VH12) */
async function chosen(ctx: Context, claims: Claims): Promise<Claim[]> {
  const all = await listOf<Claim>(ctx, claims, 'persistentvolumeclaims');
  const where = `namespace ${claims.namespace}`;
  if (claims.names) {
    const missing = claims.names.filter(name => !all.some(({ metadata }) => metadata.name === name));
    if (missing.length === 0) return all.filter(({ metadata }) => claims.names!.includes(metadata.name));
    throw new BkpError('failed', `volumes/${ctx.name}: ${where} has no claim ${missing.join(', ')}`, {
      next: `it has: ${all.map(({ metadata }) => metadata.name).join(', ') || 'none'}`,
    });
  }
  const found = await listOf<Claim>(ctx, claims, 'persistentvolumeclaims', claims.selector);
  if (found.length > 0) return found;
  throw new BkpError('failed', `volumes/${ctx.name}: no claim in ${where} has the labels ${claims.selector}`, {
    next: all.length > 0 ? `skipped, since their labels differ: ${all.map(withLabels).join(', ')}` : `${where} has no claim at all`,
  });
}

/** The claims of an entry, in the order of their names: those that can be mounted, and those that cannot, each with why. */
export async function selection(ctx: Context, claims: Claims): Promise<{ mountable: Mountable[]; skipped: Skipped[] }> {
  const found = await chosen(ctx, claims);
  const pods = await listOf<Pod>(ctx, claims, 'pods');
  const judged = found.map(claim => judge(claim, pods)).sort((a, b) => a.name.localeCompare(b.name));
  return {
    mountable: judged.filter((each): each is Mountable => !('reason' in each)),
    skipped: judged.filter((each): each is Skipped => 'reason' in each),
  };
}
