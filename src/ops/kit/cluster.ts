import type { TargetContext } from '../../core/contracts.ts';
import { type ClusterSecret, changedAt, isSealingKey, onlyInCluster } from '../../core/kit/clusterSecrets.ts';
import type { KitMeta, SealingKey } from '../../core/kit/types.ts';
import { clusterUid, readSecrets } from '../../flow/cluster.ts';
import { sha256 } from '../../flow/kit/archive.ts';
import type { ClusterAccess } from '../../flow/site/kubectl.ts';
import { catalog } from '../catalog.ts';
import { newestGood } from '../prove.ts';
import type { OpenedTarget } from './source.ts';

/** Name of the file in the kit that `kubectl apply` takes. */
export const SEALING_KEYS = 'cluster/sealing-keys.json';

const told = ({ metadata, data }: ClusterSecret): SealingKey => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name,
  sha256: sha256(Buffer.from(data?.['tls.key'] ?? '', 'base64')),
});

/** Without what only the old cluster knew: who owned it, its version, its uid. */
const bare = ({ metadata: { name, namespace, labels, annotations }, type, data }: ClusterSecret): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) },
  type,
  data,
});

/**
 * The private keys of the sealed-secrets controller, as a list that `kubectl apply` takes; no file where there are none.
 * @throws BkpError('failed') when the cluster does not answer
 */
export async function sealingKeys(
  ctx: Pick<TargetContext, 'run' | 'signal'>,
  access: ClusterAccess,
): Promise<{ keys: SealingKey[]; file?: Buffer }> {
  const keys = (await readSecrets(ctx, access)).filter(isSealingKey);
  if (keys.length === 0) return { keys: [] };
  const list = { apiVersion: 'v1', kind: 'List', items: keys.map(bare) };
  return { keys: keys.map(told), file: Buffer.from(`${JSON.stringify(list, null, 1)}\n`) };
}

/** Recovery point of the newest good backup of a cluster's datastore. What stands in the way of looking is thrown. */
async function datastoreAt(opened: readonly OpenedTarget[], uid: string): Promise<Date | undefined> {
  const points: number[] = [];
  for (const { target, ctx } of opened) {
    if (!target.kit?.holdsCluster) continue;
    const { known } = await catalog(ctx.stores, ctx.base, ctx.keys);
    const newest = newestGood(known.filter(({ manifest }) => target.kit!.holdsCluster!(manifest, uid)));
    if (newest) points.push(Date.parse(newest.recoveryPointAt));
  }
  return points.length === 0 ? undefined : new Date(Math.max(...points));
}

/**
 * What is in the cluster and nowhere else, a sentence each: keys of sealed-secrets that the kit does not hold, and Secrets that nothing makes
 * again and no backup of the datastore has.
 * @throws BkpError when the cluster does not answer, or no store does
 */
export async function clusterAlarms(
  opened: readonly OpenedTarget[],
  access: ClusterAccess,
  meta: Pick<KitMeta, 'cluster'>,
): Promise<string[]> {
  const { ctx } = opened[0]!;
  const secrets = await readSecrets(ctx, access);
  const held = new Set((meta.cluster?.sealingKeys ?? []).map(key => key.sha256));
  const keys = secrets
    .filter(secret => isSealingKey(secret) && !held.has(told(secret).sha256))
    .map(secret => {
      const { namespace, name } = secret.metadata;
      return `the key ${namespace}/${name} of sealed-secrets (of ${changedAt(secret)?.toISOString() ?? 'an unknown time'}) is not in the kit`;
    });
  return [...keys, ...onlyInCluster(secrets, await datastoreAt(opened, await clusterUid(ctx, access)))];
}
