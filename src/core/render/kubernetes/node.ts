import type { TargetEntry } from '../../config/types.ts';
import type { Job } from '../jobs.ts';
import { plainPath } from '../names.ts';
import type { Mount } from './volumes.ts';

/** Any server node: K3s and kubeadm both set this label, with values of their own. */
const ON_SERVERS = {
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' }] }],
    },
  },
};

const TOLERATIONS = ['control-plane', 'master', 'etcd'].map(role => ({ key: `node-role.kubernetes.io/${role}`, operator: 'Exists' }));

const hostPath = (name: string, path: string, type: string, readOnly: boolean): Mount => ({
  volume: { name, hostPath: { path, type } },
  mounts: [{ name, mountPath: path, ...(readOnly ? { readOnly } : {}) }],
});

const directoryOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf('/')));

/** K3s's own program makes and removes the snapshot, so its directory is writable; etcd is asked over its port with certificates of the node. */
function pathsOf(entry: TargetEntry): Mount[] {
  const { dataDir, configDir } = entry['k3s'] as { dataDir: string; configDir: string };
  const certificates = ['cacert', 'cert', 'key'].flatMap(field => (entry[field] === undefined ? [] : [directoryOf(String(entry[field]))]));
  const own = [...new Set(certificates)].map((path, n) =>
    hostPath(`certificates-${n}`, plainPath(path, 'certificates'), 'Directory', true),
  );
  if (entry['flavor'] === 'etcd') return own;
  return [
    hostPath('k3s-data', plainPath(dataDir, 'k3s.dataDir'), 'Directory', false),
    hostPath('k3s-config', plainPath(configDir, 'k3s.configDir'), 'DirectoryOrCreate', true),
    hostPath('k3s-program', '/usr/local/bin/k3s', 'File', true),
    ...own,
  ];
}

/** What makes a pod one of a server node. Only the one that talks to the source sees the node; the others share its files in the stores. */
export function nodeParts(job: Pick<Job, 'entry' | 'source'>): {
  mounts: Mount[];
  affinity: Record<string, unknown>;
  spec: Record<string, unknown>;
  pod: Record<string, unknown>;
  container: Record<string, unknown>;
} {
  const capabilities = { drop: ['ALL'], ...(job.source ? { add: ['DAC_READ_SEARCH'] } : {}) };
  return {
    mounts: job.source ? pathsOf(job.entry) : [],
    affinity: job.source ? ON_SERVERS : {},
    spec: job.source ? { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet', tolerations: TOLERATIONS } : {},
    pod: { runAsUser: 0, runAsGroup: 0, fsGroup: 0, seccompProfile: { type: 'RuntimeDefault' } },
    container: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities },
  };
}
