import { stringify } from 'yaml';
import type { TargetEntry } from '../../config/types.ts';
import { BkpError } from '../../errors.ts';
import { originOf, settingsToRead } from '../drills.ts';
import { notifiersOf } from '../jobs.ts';
import { imageName, objectName, plainPath, quantity } from '../names.ts';
import { withStores } from '../narrow.ts';
import { needsOf, refuseWrittenOut } from '../needs.ts';
import { settingsFor } from '../settings.ts';
import { SCRATCH } from './config.ts';
import { storesElsewhere } from './elsewhere.ts';
import { namespaceIn } from './network.ts';
import { labelsOf, partOf, rendered } from './objects.ts';
import { containerSecurity, podSecurity, RESOURCES } from './pod.ts';
import { secretNotes } from './secrets.ts';
import type { Rendered, World } from './types.ts';
import { configMount, type Mount, scratchMount, secretMounts, secretVariables } from './volumes.ts';

/** What an operator says of a restore into a claim. */
export interface RestoreOptions {
  kind: string;
  name: string;
  /** Namespace of the workload; else the one in the name of the server. */
  namespace?: string;
  /** `statefulset/db` or `deployment/db`: what is scaled to 0 before. */
  workload: string;
  /** Labels of its pods. */
  selector: string;
  claim: string;
  /** Where the claim is mounted: that of the workload, since the data directory lies in it; else its parent. */
  mount?: string;
  /** The database's own image: the same C library, ICU, locales and extensions. */
  image: string;
  /** uid of the server in it. */
  uid: number;
  /** Path of bkp's single file in bkp's image. */
  program: string;
  /** The words after `bkp restore KIND NAME` that say what to restore to. */
  want: readonly string[];
}

/** Kinds whose data directory lies in a claim of one workload. */
const KINDS = ['postgres', 'redis'];

const TOOLS = '/bkp';

function workloadOf(text: string): { resource: string; name: string } {
  const [, resource, name] = /^(statefulset|deployment)\/(.+)$/.exec(text) ?? [];
  if (!resource || !name) throw new BkpError('usage', `"${text}" is no workload; allowed are statefulset/NAME and deployment/NAME`);
  return { resource: `${resource}s`, name: objectName(name) };
}

function dataDirOf(entry: TargetEntry, { kind, name }: RestoreOptions): string {
  if (!KINDS.includes(kind))
    throw new BkpError('usage', `a restore of ${kind} is no Job: it is done where ${kind} runs`, {
      next: `bkp restore ${kind} ${name} --help`,
    });
  if (entry['dataDir'] === undefined)
    throw new BkpError('usage', `nothing says where the data of ${kind}/${name} lies in its pod`, { next: '`dataDir:` in the entry' });
  return plainPath(String(entry['dataDir']), `dataDir of ${kind}/${name}`);
}

/** A restore moves what is there aside, which a mount does not let itself be. */
function mountOf(dataDir: string, { mount }: RestoreOptions): string {
  const at = plainPath(mount ?? dataDir.slice(0, dataDir.lastIndexOf('/')), '--mount');
  if (dataDir.startsWith(`${at}/`)) return at;
  throw new BkpError('usage', `the data directory ${dataDir} does not lie inside ${at}, where the claim is mounted`, {
    next: 'a data directory that is the mount itself cannot be moved aside: name one inside it in `dataDir`, and in the workload',
  });
}

/** A claim of another namespace is out of reach, so only stores elsewhere count. */
function outOfReach(world: World, { kind, name }: RestoreOptions): World {
  const { env, config } = world;
  const from = originOf(config, env);
  const entry = from.targets[kind]?.[name];
  if (!entry || storesElsewhere(from, entry).length === 0)
    throw new BkpError('refused', `${kind}/${name} has no store but directories, and those lie in claims of another namespace`, {
      next: 'run bkp restore where the claim of the store is mounted',
    });
  const { settings, own } = settingsToRead(config, env, [{ kind, name, entry: withStores(entry, storesElsewhere(from, entry)) }]);
  return { ...world, config: settings, env: own };
}

function rights(world: World, name: string, namespace: string, workload: { resource: string; name: string }): Rendered[] {
  const metadata = { name, namespace, labels: labelsOf(world) };
  const own = { resourceNames: [workload.name] };
  return [
    rendered({ apiVersion: 'v1', kind: 'ServiceAccount', metadata, automountServiceAccountToken: false }),
    rendered({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata,
      rules: [
        { apiGroups: ['apps'], resources: [workload.resource], verbs: ['get'], ...own },
        { apiGroups: ['apps'], resources: [`${workload.resource}/scale`], verbs: ['get', 'update', 'patch'], ...own },
        { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
      ],
    }),
    rendered({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    }),
  ];
}

const security = { securityContext: containerSecurity, resources: RESOURCES };

/** Scaled down first, and only once every pod of it is gone is anything written: two servers on one directory destroy it. */
function before(world: World, options: RestoreOptions): Record<string, unknown>[] {
  const { image } = world.options;
  const words = [
    ['stop', ['scale', '--replicas=0', options.workload]],
    ['stopped', ['wait', '--for=delete', 'pod', `--selector=${options.selector}`, '--timeout=10m']],
  ] as const;
  return [
    ...words.map(([name, args]) => ({ name, image, command: ['kubectl', ...args], ...security })),
    {
      name: 'program',
      image,
      command: ['cp', options.program, `${TOOLS}/bkp`],
      volumeMounts: [{ name: 'program', mountPath: TOOLS }],
      ...security,
    },
  ];
}

function job(world: World, options: RestoreOptions, name: string, namespace: string, dataDir: string): Rendered {
  const { env } = world;
  const entry = env.targets[options.kind]![options.name]!;
  const from = originOf(world.config, env);
  const part = { kind: options.kind, name: options.name, entry: { ...entry, stores: from.targets[options.kind]![options.name]!.stores } };
  const notifiers = notifiersOf(env, 'restore');
  const secrets = needsOf(world.config, from, { parts: [part], source: false, signs: false, identity: true, notifiers });
  const mounts: Mount[] = [
    configMount(name),
    scratchMount(quantity(world.options.scratchSize)),
    { volume: { name: 'program', emptyDir: {} }, mounts: [{ name: 'program', mountPath: TOOLS, readOnly: true }] },
    {
      volume: { name: 'data', persistentVolumeClaim: { claimName: objectName(options.claim) } },
      mounts: [{ name: 'data', mountPath: mountOf(dataDir, options) }],
    },
    ...secretMounts(world, secrets),
  ];
  const args = ['--env', env.name, 'restore', options.kind, options.name, ...options.want, '--to', dataDir, '--force', '--yes'];
  const spec = {
    restartPolicy: 'Never',
    serviceAccountName: name,
    automountServiceAccountToken: true,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 60,
    securityContext: podSecurity(options.uid),
    initContainers: before(world, options),
    containers: [
      {
        name: 'bkp',
        image: imageName(options.image),
        command: [`${TOOLS}/bkp`],
        args: env.protected ? [...args, '--confirm-env', env.name] : args,
        env: [{ name: 'BKP_CONFIG', value: '/etc/bkp/bkp.yaml' }, { name: 'HOME', value: SCRATCH }, ...secretVariables(world, secrets)],
        volumeMounts: mounts.flatMap(each => each.mounts),
        ...security,
      },
    ],
    volumes: mounts.map(({ volume }) => volume),
  };
  const labels = labelsOf(world, options, 'restore');
  const howTo = secretNotes(world.options, [{ namespace, secrets }]);
  return rendered(
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name, namespace, labels },
      // One try: a person looks at what failed before anything is tried again.
      spec: { backoffLimit: 0, activeDeadlineSeconds: 86_400, template: { metadata: { labels }, spec } },
    },
    [
      `Scales ${options.workload} to 0, waits until its pods are gone, and restores ${options.kind}/${options.name} into ${dataDir} of claim ${options.claim}.`,
      'What is there is moved aside under a dated name. A Job runs once: delete it before it is applied again.',
      ...(howTo.length > 0 ? ['It reads these Secrets:', ...howTo] : []),
      'Afterwards, when what came back is right:',
      `  kubectl --namespace ${namespace} scale --replicas=1 ${options.workload}`,
    ],
  );
}

/**
 * A Job that restores one entry into the claim of its workload, with what it needs beside it.
 * @throws BkpError('usage' | 'refused') for what cannot be restored so
 */
export function renderRestore(given: World, options: RestoreOptions): Rendered[] {
  refuseWrittenOut(given.config);
  const dataDir = dataDirOf(given.env.targets[options.kind]![options.name]!, options);
  const world = outOfReach(given, options);
  const namespace = options.namespace ?? namespaceIn(String(world.env.targets[options.kind]![options.name]!['host']));
  if (namespace === undefined)
    throw new BkpError('usage', `nothing says in which namespace ${options.workload} is`, { next: '--namespace NAME' });
  const name = objectName(`bkp-restore-${partOf(options)}`, 63);
  return [
    ...rights(world, name, namespace, workloadOf(options.workload)),
    rendered({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace, labels: labelsOf(world) },
      data: { 'bkp.yaml': stringify(settingsFor(world.config, world.env, SCRATCH), { lineWidth: 0 }) },
    }),
    job(world, options, name, namespace, dataDir),
  ];
}
