import type { Holding } from './contracts.ts';

/** What of a Kubernetes object is looked at; the rest may be anything. */
interface Meta {
  name: string;
  namespace?: string;
  annotations?: Record<string, string>;
}

interface Expression {
  key?: string;
  values?: string[];
}

export interface PersistentVolume {
  metadata: Meta;
  spec: {
    capacity?: { storage?: string };
    claimRef?: { namespace?: string; name?: string };
    csi?: { driver?: string; volumeHandle?: string };
    local?: { path?: string };
    hostPath?: { path?: string };
    nfs?: { server?: string; path?: string };
    nodeAffinity?: { required?: { nodeSelectorTerms?: { matchExpressions?: Expression[] }[] } };
  };
}

export interface Claim {
  metadata: Meta;
  spec: { volumeName?: string };
  status?: { phase?: string };
}

export interface Pod {
  metadata: Meta;
  spec: {
    nodeName?: string;
    volumes?: { name?: string; hostPath?: { path?: string }; persistentVolumeClaim?: { claimName?: string } }[];
  };
}

/** A cluster as it is just now. */
export interface Cluster {
  pods: readonly Pod[];
  volumes: readonly PersistentVolume[];
  claims: readonly Claim[];
}

/** Directories that the kernel, systemd or the container runtime fills: nothing in them is lost with the disk. */
const FILLED = ['/proc', '/sys', '/dev', '/run', '/var/run', '/lib/modules', '/var/log', '/etc/machine-id', '/etc/localtime', '/usr/share'];

const isFilled = (path: string): boolean => FILLED.some(each => path === each || path.startsWith(`${each}/`));

const nodesOf = ({ metadata, spec }: PersistentVolume): string[] => {
  const expressions = (spec.nodeAffinity?.required?.nodeSelectorTerms ?? []).flatMap(({ matchExpressions = [] }) => matchExpressions);
  const named = expressions.filter(({ key }) => key === 'kubernetes.io/hostname').flatMap(({ values = [] }) => values);
  const selected = metadata.annotations?.['local.path.provisioner/selected-node'];
  return named.length > 0 || selected === undefined ? named : [selected];
};

/** What lies on a node's own disk is in the snapshot of that server, which has the node's name. */
function onDisk(node: string | undefined, servers: ReadonlyMap<string, Holding>): Pick<Holding, 'coveredBy' | 'why'> {
  if (node === undefined) return { why: 'it does not say on which node it lies' };
  const server = servers.get(node);
  if (!server) return { why: `it lies on the disk of node ${node}, of which no server of that name is backed up` };
  return server.coveredBy
    ? { coveredBy: server.coveredBy }
    : { why: `it lies on the disk of node ${node}: ${server.why ?? 'not backed up'}` };
}

const mountedBy = ({ pods }: Cluster, { spec: { claimRef } }: PersistentVolume): string[] =>
  pods
    .filter(
      ({ metadata, spec }) =>
        metadata.namespace === claimRef?.namespace &&
        (spec.volumes ?? []).some(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === claimRef?.name),
    )
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);

function ofVolume(
  cluster: Cluster,
  volume: PersistentVolume,
  servers: ReadonlyMap<string, Holding>,
  volumes: ReadonlyMap<string, Holding>,
  files: ReadonlyMap<string, Holding>,
): Holding {
  const { spec, metadata } = volume;
  const pods = mountedBy(cluster, volume);
  const claim = spec.claimRef ? `claim ${spec.claimRef.namespace}/${spec.claimRef.name}` : 'no claim';
  const detail = `${claim}, ${pods.length > 0 ? `mounted by ${pods.join(', ')}` : 'no pod mounts it'}`;
  const base = { kind: 'persistent volume', name: metadata.name, detail };
  const filed = spec.claimRef && files.get(`${spec.claimRef.namespace}/${spec.claimRef.name}`)?.coveredBy;
  if (filed) return { ...base, coveredBy: filed };
  const path = spec.local?.path ?? spec.hostPath?.path;
  if (path !== undefined) return { ...base, detail: `${detail}; ${path}`, ...onDisk(nodesOf(volume)[0], servers) };
  if (spec.csi) {
    const held = spec.csi.driver === 'csi.hetzner.cloud' ? volumes.get(spec.csi.volumeHandle ?? '') : undefined;
    if (held?.coveredBy) return { ...base, coveredBy: held.coveredBy };
    return { ...base, why: held?.why ?? `a volume of ${spec.csi.driver ?? 'an unknown driver'}, which no snapshot of a server holds` };
  }
  return { ...base, why: spec.nfs ? `it lies on ${spec.nfs.server}:${spec.nfs.path}` : 'a kind of volume that bkp does not know' };
}

function hostPaths({ pods }: Cluster, servers: ReadonlyMap<string, Holding>): Holding[] {
  const found = new Map<string, Holding>();
  for (const { metadata, spec } of pods)
    for (const { hostPath } of spec.volumes ?? []) {
      const path = hostPath?.path;
      if (path === undefined || isFilled(path)) continue;
      const name = `${spec.nodeName ?? 'no node'}:${path}`;
      const user = `${metadata.namespace}/${metadata.name}`;
      const before = found.get(name);
      const detail = before ? `${before.detail}, ${user}` : `mounted by ${user}`;
      found.set(name, { kind: 'host path', name, detail, ...onDisk(spec.nodeName, servers) });
    }
  return [...found.values()];
}

const unbound = ({ claims }: Cluster): Holding[] =>
  claims
    .filter(({ spec, status }) => !spec.volumeName || status?.phase === 'Lost')
    .map(({ metadata, status }) => ({
      kind: 'claim',
      name: `${metadata.namespace}/${metadata.name}`,
      detail: status?.phase ?? 'no phase',
      ...(status?.phase === 'Lost' ? { why: 'its volume is lost' } : { empty: true }),
    }));

/**
 * What of a cluster holds data, and which backup has it.
 * @param known what the targets told: servers (by their names, which are the nodes' names), volumes (by their ids), and claims whose files are
 *   backed up (by namespace/name)
 */
export function clusterHoldings(cluster: Cluster, known: readonly Holding[]): Holding[] {
  const servers = new Map(known.filter(({ kind }) => kind === 'server').map(each => [each.name, each]));
  const volumes = new Map(known.filter(({ kind }) => kind === 'volume').map(each => [each.id ?? '', each]));
  const files = new Map(known.filter(({ kind }) => kind === 'claim files').map(each => [each.name, each]));
  return [
    ...cluster.volumes.map(each => ofVolume(cluster, each, servers, volumes, files)),
    ...hostPaths(cluster, servers),
    ...unbound(cluster),
  ];
}

/** Of several entries that tell of the same thing, one that covers it is believed. */
export function merged(holdings: readonly Holding[]): Holding[] {
  const found = new Map<string, Holding>();
  for (const each of holdings) {
    const key = `${each.kind} ${each.id ?? each.name}`;
    const before = found.get(key);
    if (!before || (each.coveredBy && !before.coveredBy)) found.set(key, each);
  }
  return [...found.values()];
}
