import type { Known } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { type Context, called } from './config.ts';

type Identity = Readonly<Record<string, string>>;

/**
 * What tells one cluster from another and is the same after a restore comes first: the authority of a K3s, the uid of `kube-system`. The
 * cluster id of etcd is another one after each restore.
 */
const NAMES = ['serverCa', 'kubeSystem', 'clusterId'] as const;

/** Whether two identities are of one cluster, by the first thing that both know; undefined when they have none in common. */
export function sameCluster(one: Identity, other: Identity): boolean | undefined {
  const name = NAMES.find(each => one[each] !== undefined && other[each] !== undefined);
  return name === undefined ? undefined : one[name] === other[name];
}

/** Throws BkpError('refused') where the stores hold backups of another cluster. */
export function refuseForeign(ctx: Context, identity: Identity, known: readonly Known[]): void {
  const newest = known.at(-1)?.manifest;
  if (!newest || sameCluster(newest.identity, identity) !== false) return;
  const shown = (of: Identity): string =>
    Object.entries(of)
      .map(([name, value]) => `${name} ${value.slice(0, 36)}`)
      .join(', ');
  throw new BkpError(
    'refused',
    `${called(ctx)} is another cluster (${shown(identity)}) than that of backup ${newest.id} (${shown(newest.identity)})`,
    {
      next: ['check `endpoints:` and `where:`', `restored or made anew on purpose: bkp backup etcd ${ctx.name} --new-lineage`],
    },
  );
}
