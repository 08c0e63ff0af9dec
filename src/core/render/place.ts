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

/** Volume claims that an entry reads by Jobs of its own, and the cluster that they are in. */
export interface Claims {
  namespace: string;
  context?: string | undefined;
  kubeconfig?: string | undefined;
}

/** The claims of an entry, if it is of such. */
export const claimsIn = ({ engine, claims }: TargetEntry): Claims | undefined =>
  engine === 'files' ? (claims as Claims | undefined) : undefined;

/** The cluster that an entry works in, as a pod's own account or by a kubeconfig. */
export const clusterOf = (entry: TargetEntry): Pick<Claims, 'context' | 'kubeconfig'> | undefined => kubectlOf(entry) ?? claimsIn(entry);

/** What the backup of an entry needs of a host: `server` = a server node of the cluster, `dc` = the DC itself, `files` = what it stores. */
export type Host = 'server' | 'dc' | 'files';

/**
 * The host on which a backup has to run. Undefined = anywhere, a pod too. Offline backups of Samba read the files of the DC, K3s is asked by
 * its own program on its own node, and directories lie where they lie.
 */
export function hostOf(kind: string, entry: TargetEntry): Host | undefined {
  if (whereOf(entry) !== 'local') return undefined;
  if (kind === 'volumes') return entry['paths'] === undefined ? undefined : 'files';
  if (kind === 'etcd') return 'server';
  if (kind !== 'samba') return undefined;
  return (entry['mode'] ?? (entry['user'] === undefined ? 'offline' : 'online')) === 'offline' ? 'dc' : undefined;
}

/** Addresses that are those of whoever asks. */
export const isLoopback = (host: unknown): boolean => /^(127\.|localhost$|\[?::1\]?$|\/)/.test(String(host));

const hostIn = (endpoint: string): string => /^(?:https?:\/\/)?(\[[^\]]*\]|[^:/]*)/.exec(endpoint)?.[1] ?? '';

/** An etcd none of whose members is where bkp runs is asked over the network, by a pod too, unless a K3s is meant. */
export const isFar = (kind: string, entry: TargetEntry): boolean =>
  kind === 'etcd' && entry['flavor'] !== 'k3s' && !(entry['endpoints'] as string[]).some(each => isLoopback(hostIn(each)));
