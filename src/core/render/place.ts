import type { TargetEntry } from '../config/types.ts';
import type { Where } from '../contracts.ts';

type Kubectl = Extract<Where, { kubectl: unknown }>['kubectl'];
type Ssh = Extract<Where, { ssh: unknown }>['ssh'];

const whereOf = ({ where }: TargetEntry): Where => (where as Where | undefined) ?? 'local';

/** The container in which the tools of an entry run, if that is where they do. */
export function kubectlOf(entry: TargetEntry): Kubectl | undefined {
  const where = whereOf(entry);
  return typeof where === 'object' && 'kubectl' in where ? where.kubectl : undefined;
}

/** The host at which the tools of an entry run by ssh, if that is where they do. */
export function sshOf(entry: TargetEntry): Ssh | undefined {
  const where = whereOf(entry);
  return typeof where === 'object' && 'ssh' in where ? where.ssh : undefined;
}

/**
 * The host on which a backup has to run: `server` = a server node of the cluster, `dc` = the DC itself. Undefined = anywhere, a pod too.
 * Offline backups of Samba read the files of the DC, and K3s is asked by its own program on its own node.
 */
export function hostOf(kind: string, entry: TargetEntry): 'server' | 'dc' | undefined {
  if (whereOf(entry) !== 'local') return undefined;
  if (kind === 'etcd') return 'server';
  if (kind !== 'samba') return undefined;
  return (entry['mode'] ?? (entry['user'] === undefined ? 'offline' : 'online')) === 'offline' ? 'dc' : undefined;
}
