import type { TargetContext } from '../core/contracts.ts';
import type { Claim, Cluster, PersistentVolume, Pod } from '../core/coverage.ts';
import { BkpError } from '../core/errors.ts';
import { type ClusterAccess, kubectlAt } from './site/kubectl.ts';

/**
 * Pods, volumes and claims of every namespace.
 * @throws BkpError('failed') when kubectl fails, or says something else than a list
 */
export async function readCluster({ run, signal }: Pick<TargetContext, 'run' | 'signal'>, access: ClusterAccess): Promise<Cluster> {
  const list = async <T>(kind: string): Promise<T[]> => {
    const { stdout } = await run.text(kubectlAt(access, ['get', kind, '--all-namespaces', '--output', 'json', '--request-timeout=60s']), {
      signal,
    });
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
