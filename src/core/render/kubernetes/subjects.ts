import { BkpError } from '../../errors.ts';
import { jobsOf } from '../jobs.ts';
import { clusterOf, type Host, hostOf, isFar, isLoopback, kubectlOf, sshOf } from '../place.ts';
import { nodeNamespace, type Subject, type World } from './types.ts';
import { storeClaims } from './volumes.ts';

/** An entry by kind and name. */
export interface Chosen {
  kind: string;
  name: string;
}

/** As `hostOf`, in a cluster: a plain etcd elsewhere is asked by a pod, unless the certificates of a server node are wanted. */
function placeOf({ env, options }: World, { kind, name }: Chosen): Host | undefined {
  const entry = env.targets[kind]![name]!;
  return isFar(kind, entry) && entry['flavor'] === 'etcd' && !options.nodeJobs ? undefined : hostOf(kind, entry);
}

/** Why an entry gets no jobs in a cluster, and what backs it up instead; undefined = it gets them. */
function leftOut(world: World, { kind, name }: Chosen): string | undefined {
  const host = placeOf(world, { kind, name });
  if (host === 'server' && !world.options.nodeJobs) {
    const plain = isFar(kind, world.env.targets[kind]![name]!) ? '; a plain etcd is asked by a pod, with `flavor: etcd`' : '';
    return `${kind}/${name} is backed up on a server node: bkp render systemd ${kind} ${name} there, or --node-jobs${plain}`;
  }
  if (host === 'dc') return `${kind}/${name} is backed up on the DC: bkp render systemd ${kind} ${name} there, or \`where: {kubectl: …}\``;
  if (host === 'files')
    return `${kind}/${name} is of directories, and is backed up where they lie: bkp render systemd ${kind} ${name} there`;
  return undefined;
}

function refuseContext({ env }: World, { kind, name }: Chosen): void {
  const cluster = clusterOf(env.targets[kind]![name]!);
  if (cluster?.context === undefined || cluster.kubeconfig !== undefined) return;
  throw new BkpError('usage', `${kind}/${name}: a pod has no kubeconfig, so \`context: ${cluster.context}\` names nothing in it`, {
    next: 'leave `context` out for the cluster of the pod itself, or name a `kubeconfig` for another one',
  });
}

function doubts({ env }: World, { kind, name }: Chosen): string[] {
  const entry = env.targets[kind]![name]!;
  const host = entry['host'];
  if (host === undefined || kubectlOf(entry) || sshOf(entry) || !isLoopback(host)) return [];
  return [`${kind}/${name}: host ${host} is the pod of bkp itself, in which no server runs; name its Service`];
}

/**
 * The entries that get jobs in the cluster, each with its namespace, and what has to be told of them and of the others.
 * @throws BkpError('usage') for what cannot be rendered
 */
export function subjectsOf(world: World, chosen: readonly Chosen[]): { subjects: Subject[]; notes: string[] } {
  const subjects: Subject[] = [];
  const notes: string[] = [];
  for (const { kind, name } of chosen) {
    const why = leftOut(world, { kind, name });
    if (why !== undefined) {
      notes.push(why);
      continue;
    }
    refuseContext(world, { kind, name });
    notes.push(...doubts(world, { kind, name }));
    const node = placeOf(world, { kind, name }) === 'server';
    const namespace = node ? nodeNamespace(world.options) : world.options.namespace;
    const jobs = jobsOf(world.env, kind, name, world.traits[kind]!, world.options.schedules);
    subjects.push({ kind, name, node, namespace, jobs, claims: storeClaims(world, { kind, name }) });
  }
  if (subjects.length === 0) throw new BkpError('usage', 'nothing of what is asked for is backed up by a pod', { next: notes });
  return { subjects, notes };
}
