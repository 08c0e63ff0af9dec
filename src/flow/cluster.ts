import type { Command, TargetContext } from '../core/contracts.ts';
import type { Claim, Cluster, PersistentVolume, Pod } from '../core/coverage.ts';
import { BkpError } from '../core/errors.ts';
import { inCluster } from './site/kubectl.ts';

/** How a cluster is reached: kubectl's own way unless something is named. */
export interface ClusterAccess {
  kubeconfig?: string | undefined;
  context?: string | undefined;
}

const get = ({ kubeconfig, context }: ClusterAccess, kind: string): Command => ({
  file: 'kubectl',
  args: [
    ...(kubeconfig ? ['--kubeconfig', kubeconfig] : []),
    ...(context ? ['--context', context] : []),
    ...['get', kind, '--all-namespaces', '--output', 'json', '--request-timeout=60s'],
  ],
  env: inCluster(),
});

/**
 * Pods, volumes and claims of every namespace.
 * @throws BkpError('failed') when kubectl fails, or says something else than a list
 */
export async function readCluster({ run, signal }: Pick<TargetContext, 'run' | 'signal'>, access: ClusterAccess): Promise<Cluster> {
  const list = async <T>(kind: string): Promise<T[]> => {
    const { stdout } = await run.text(get(access, kind), { signal });
    const { items } = JSON.parse(stdout) as { items?: T[] };
    if (!Array.isArray(items)) throw new BkpError('failed', `kubectl get ${kind} answered something that is no list`);
    return items;
  };
  return {
    pods: await list<Pod>('pods'),
    volumes: await list<PersistentVolume>('persistentvolumes'),
    claims: await list<Claim>('persistentvolumeclaims'),
  };
}
