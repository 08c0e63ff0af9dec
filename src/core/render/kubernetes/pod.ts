import type { Job } from '../jobs.ts';
import type { Secret } from '../needs.ts';
import { clusterOf } from '../place.ts';
import { SCRATCH } from './config.ts';
import { nodeParts } from './node.ts';
import { labelsOf, partOf } from './objects.ts';
import type { Claim, Subject, World } from './types.ts';
import {
  claimedScratchMount,
  claimLabel,
  claimMount,
  configMount,
  type Mount,
  scratchMount,
  secretMounts,
  secretVariables,
  spoolClaim,
} from './volumes.ts';

/** uid and gid of the image. */
const UID = 10001;

const RESTRICTED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

/** Memory is bounded at any size of a backup; zstd and age are children of the same container. */
export const RESOURCES = { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } };

/** The servers that a drill starts have their own buffers beside. */
const DRILL_RESOURCES = { requests: { cpu: '500m', memory: '1Gi' }, limits: { memory: '4Gi' } };

/** What a pod may at all, as Pod Security's `restricted` wants it. */
export const podSecurity = (uid: number): Record<string, unknown> => ({
  runAsNonRoot: true,
  runAsUser: uid,
  runAsGroup: uid,
  fsGroup: uid,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
});

export const containerSecurity = RESTRICTED;

/** The service account that may run commands in the container of an entry; others have one that may nothing. */
export const accountOf = ({ kind, name }: Pick<Subject, 'kind' | 'name'>, job: Pick<Job, 'entry' | 'source'>): string => {
  const cluster = clusterOf(job.entry);
  return job.source && cluster && cluster.kubeconfig === undefined ? `bkp-${partOf({ kind, name })}` : 'bkp';
};

/** Pods that mount the same claims run on the same node. A first one may run anywhere; those that have ended do not count. */
function meeting(claims: readonly Claim[]): Record<string, unknown> {
  if (claims.length === 0) return {};
  const terms = claims.map(claim => ({ topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: claimLabel(claim) } }));
  return { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } };
}

function variables(world: World, job: Job, secrets: readonly Secret[]): Record<string, unknown>[] {
  const { pushgateway } = world.options;
  const plain = { BKP_CONFIG: '/etc/bkp/bkp.yaml', HOME: SCRATCH };
  const push = job.verb === 'status' && pushgateway !== undefined && !pushgateway.includes('${') ? { BKP_PUSHGATEWAY: pushgateway } : {};
  return [...Object.entries({ ...plain, ...push }).map(([name, value]) => ({ name, value })), ...secretVariables(world, secrets)];
}

function container(
  world: World,
  subject: Subject,
  job: Job,
  secrets: readonly Secret[],
  mounts: readonly Mount[],
): Record<string, unknown> {
  return {
    name: 'bkp',
    image: world.options.image,
    imagePullPolicy: 'IfNotPresent',
    args: job.args,
    env: variables(world, job, secrets),
    volumeMounts: mounts.flatMap(each => each.mounts),
    resources: job.verb === 'drill' ? DRILL_RESOURCES : RESOURCES,
    securityContext: subject.node ? nodeParts(job).container : RESTRICTED,
  };
}

/**
 * The pod of one job: its labels and its spec. On a server node it runs as root without any capability but to read; everywhere else as
 * Pod Security's `restricted` demands.
 */
export function podOf(
  world: World,
  subject: Subject,
  job: Job,
  secrets: readonly Secret[],
): { labels: Record<string, string>; spec: Record<string, any> } {
  const claims = [...subject.claims, ...(job.verb === 'stream' ? spoolClaim(world, subject) : [])];
  const node = subject.node ? nodeParts(job) : undefined;
  const mounts = [
    configMount(subject.config),
    job.verb === 'drill' ? claimedScratchMount(world) : scratchMount(world.options.scratchSize),
    ...secretMounts(world, secrets),
    ...claims.map(claimMount),
    ...(node?.mounts ?? []),
  ];
  const account = accountOf(subject, job);
  const affinity = { ...meeting(claims), ...node?.affinity };
  return {
    labels: { ...labelsOf(world, subject, job.verb), ...Object.assign({}, ...claims.map(claimLabel)) },
    spec: {
      restartPolicy: job.schedule === undefined ? 'Always' : 'Never',
      serviceAccountName: account,
      automountServiceAccountToken: account !== 'bkp',
      enableServiceLinks: false,
      // An upload that is cut off is taken back, and a lease given up.
      terminationGracePeriodSeconds: 60,
      ...(Object.keys(affinity).length > 0 ? { affinity } : {}),
      ...node?.spec,
      securityContext: node?.pod ?? podSecurity(UID),
      containers: [container(world, subject, job, secrets, mounts)],
      volumes: mounts.map(({ volume }) => volume),
    },
  };
}
