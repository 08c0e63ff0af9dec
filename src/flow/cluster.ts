import type { TargetContext } from '../core/contracts.ts';
import type { Claim, Cluster, PersistentVolume, Pod } from '../core/coverage.ts';
import { BkpError } from '../core/errors.ts';
import type { ClusterSecret } from '../core/kit/clusterSecrets.ts';
import { type ClusterAccess, kubectlAt } from './site/kubectl.ts';

type Asking = Pick<TargetContext, 'run' | 'signal'>;

const ask = async ({ run, signal }: Asking, access: ClusterAccess, words: readonly string[]): Promise<string> =>
  (await run.text(kubectlAt(access, ['get', ...words, '--output', 'json', '--request-timeout=60s']), { signal })).stdout;

async function list<T>(ctx: Asking, access: ClusterAccess, kind: string): Promise<T[]> {
  const { items } = JSON.parse(await ask(ctx, access, [kind, '--all-namespaces'])) as { items?: T[] };
  if (!Array.isArray(items)) throw new BkpError('failed', `kubectl get ${kind} answered something that is no list`);
  return items;
}

/**
 * Pods, volumes and claims of every namespace.
 * @throws BkpError('failed') when kubectl fails, or says something else than a list
 */
export const readCluster = async (ctx: Asking, access: ClusterAccess): Promise<Cluster> => ({
  pods: await list<Pod>(ctx, access, 'pods'),
  volumes: await list<PersistentVolume>(ctx, access, 'persistentvolumes'),
  claims: await list<Claim>(ctx, access, 'persistentvolumeclaims'),
});

/** Every Secret with what is in it: for memory, and for nothing that is shown. Throws as `readCluster` does. */
export const readSecrets = (ctx: Asking, access: ClusterAccess): Promise<ClusterSecret[]> => list(ctx, access, 'secrets');

/** The uid of the namespace kube-system, which tells one cluster from another. Throws as `readCluster` does. */
export async function clusterUid(ctx: Asking, access: ClusterAccess): Promise<string> {
  const { metadata } = JSON.parse(await ask(ctx, access, ['namespace', 'kube-system'])) as { metadata?: { uid?: string } };
  if (!metadata?.uid) throw new BkpError('failed', 'kubectl get namespace kube-system answered without a uid');
  return metadata.uid;
}
