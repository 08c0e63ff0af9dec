import { fitted, plainPath, quantity, secretKey } from '../names.ts';
import type { Secret } from '../needs.ts';
import { CONFIG, SCRATCH } from './config.ts';
import { partOf } from './objects.ts';
import { secretOf } from './secrets.ts';
import type { Claim, Subject, World } from './types.ts';

/** A volume of a pod, and where its container sees it. */
export interface Mount {
  volume: Record<string, any> & { name: string };
  mounts: readonly Record<string, unknown>[];
}

/** Readable by the group that the pod's volumes belong to. */
const MODE = 0o440;

/** The bkp.yaml; one file, so that secrets may lie beside it. */
export const configMount = (name = CONFIG): Mount => ({
  volume: { name: 'config', configMap: { name } },
  mounts: [{ name: 'config', mountPath: '/etc/bkp/bkp.yaml', subPath: 'bkp.yaml', readOnly: true }],
});

/** A directory for temporary files that ends with the pod; a pod that fills it is ended, and not its node. */
export const scratchMount = (sizeLimit: string): Mount => ({
  volume: { name: 'scratch', emptyDir: { sizeLimit } },
  mounts: [{ name: 'scratch', mountPath: SCRATCH }],
});

/** The same by a claim that comes and goes with the pod, for what may not fit onto the disk of a node. */
export const claimedScratchMount = ({ options }: Pick<World, 'options'>): Mount => ({
  volume: {
    name: 'scratch',
    ephemeral: {
      volumeClaimTemplate: {
        spec: {
          accessModes: ['ReadWriteOnce'],
          ...(options.storageClass === undefined ? {} : { storageClassName: options.storageClass }),
          resources: { requests: { storage: quantity(options.drillSize) } },
        },
      },
    },
  },
  mounts: [{ name: 'scratch', mountPath: SCRATCH }],
});

/** The files of a job's secrets, each exactly where the config looks for it, and no other key of the same Secret. */
export function secretMounts({ options }: Pick<World, 'options'>, secrets: readonly Secret[]): Mount[] {
  const files = secrets.filter(({ from }) => from === 'file');
  return [...new Set(files.map(({ scope }) => scope))].map(scope => {
    const own = files.filter(each => each.scope === scope);
    const name = fitted(`secret-${scope}`);
    return {
      volume: {
        name,
        secret: {
          secretName: secretOf(options, { scope }),
          defaultMode: MODE,
          items: own.map(({ key }) => ({ key: secretKey(key), path: key })),
        },
      },
      mounts: own.map(({ key, name: path }) => ({ name, mountPath: plainPath(path, 'a file'), subPath: key, readOnly: true })),
    };
  });
}

/** Variables of a job's secrets. */
export const secretVariables = ({ options }: Pick<World, 'options'>, secrets: readonly Secret[]): Record<string, unknown>[] =>
  secrets
    .filter(({ from }) => from === 'env')
    .map(secret => ({ name: secret.name, valueFrom: { secretKeyRef: { name: secretOf(options, secret), key: secret.key } } }));

/** Stores of an entry that are directories, each with the claim behind its path. */
export function storeClaims({ env, options }: Pick<World, 'env' | 'options'>, subject: Pick<Subject, 'kind' | 'name'>): Claim[] {
  const { stores } = env.targets[subject.kind]![subject.name]!;
  return stores.flatMap(store => {
    const entry = env.stores[store]!;
    if (entry.type !== 'directory') return [];
    return [
      {
        name: fitted(`bkp-${store}-${partOf(subject)}`),
        path: plainPath(String(entry['path']), `path of store ${store}`),
        size: options.storeSize,
        what: `store ${store} of ${subject.kind}/${subject.name}`,
      },
    ];
  });
}

/** The spool of a stream; none where the engine has none. */
export function spoolClaim({ env, options }: Pick<World, 'env' | 'options'>, subject: Pick<Subject, 'kind' | 'name'>): Claim[] {
  const { spool } = env.targets[subject.kind]![subject.name]!;
  if (spool === undefined) return [];
  const path = plainPath(String(spool), `spool of ${subject.kind}/${subject.name}`);
  return [{ name: `bkp-spool-${partOf(subject)}`, path, size: options.spoolSize, what: `spool of ${subject.kind}/${subject.name}` }];
}

export const claimMount = ({ name, path }: Claim): Mount => {
  const volume = name.replace(/^bkp-/, '');
  return { volume: { name: volume, persistentVolumeClaim: { claimName: name } }, mounts: [{ name: volume, mountPath: path }] };
};

/** Claims of one pod at a time are bound to one node: pods that share one have to meet there. */
export const claimLabel = ({ name }: Claim): Record<string, string> => ({ [`bkp/${name}`]: 'mounted' });
