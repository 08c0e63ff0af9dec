import { createHash, randomBytes } from 'node:crypto';
import type { Id, Site } from '../../../../core/contracts.ts';
import { parseDuration } from '../../../../core/duration.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { openSite } from '../../../../flow/site/index.ts';
import { type Claims, kubectl, listOf, type Mountable, type Pod } from './cluster.ts';
import type { Context } from './context.ts';

/** Where claims are mounted in the pod of a Job, each under its namespace and name. */
export const CLAIMS_AT = '/volumes';

const LOOK_MS = 1000;
const CLEAN_UP_MS = 60_000;

/**
 * Waits for restic to be started beside it, and ends by itself a minute after nothing runs beside it any more: of a bkp that was killed
 * nothing stays. At rest its own shell, a copy of it and two programs are all that there is.
 */
const WAIT = `idle=0
while [ "$idle" -lt 12 ]; do
  sleep 5
  if [ "$(ls -d /proc/[0-9]* | wc -l)" -gt 4 ]; then idle=0; else idle=$((idle + 1)); fi
done`;

export const pathOf = (namespace: string, claim: string): string => `${CLAIMS_AT}/${namespace}/${claim}`;

/** What a Job looks like; validated by the types of the API in the tests. */
export interface Job {
  apiVersion: 'batch/v1';
  kind: 'Job';
  metadata: { name: string; namespace: string; labels: Record<string, string> };
  spec: {
    backoffLimit: number;
    activeDeadlineSeconds: number;
    ttlSecondsAfterFinished: number;
    template: {
      metadata: { labels: Record<string, string> };
      spec: {
        restartPolicy: 'Never';
        nodeName?: string;
        automountServiceAccountToken: boolean;
        terminationGracePeriodSeconds: number;
        tolerations: { operator: string }[];
        securityContext: { runAsUser: number; runAsGroup: number };
        containers: {
          name: string;
          image: string;
          command: string[];
          volumeMounts: { name: string; mountPath: string; readOnly: boolean }[];
        }[];
        volumes: { name: string; persistentVolumeClaim: { claimName: string } }[];
      };
    };
  };
}

/** A Job that mounts one claim, read-only unless it is restored into, on the node of the pod that uses it, as root: files of every owner are read. Pure. */
export function jobOf(claims: Claims, { name, node, written = false }: Mountable, entry: string, id: Id, random: string): Job {
  const hash = createHash('sha256').update(`${claims.namespace}/${name}`).digest('hex').slice(0, 8);
  const labels = { 'app.kubernetes.io/managed-by': 'bkp', 'bkp-entry': entry, 'bkp-id': id };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: `bkp-${hash}-${random}`, namespace: claims.namespace, labels },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: Math.ceil(parseDuration(claims.deadline) / 1000),
      ttlSecondsAfterFinished: 300,
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: 'Never',
          ...(node === undefined ? {} : { nodeName: node }),
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 5,
          tolerations: [{ operator: 'Exists' }],
          securityContext: { runAsUser: 0, runAsGroup: 0 },
          containers: [
            {
              name: 'restic',
              image: claims.image,
              command: ['sh', '-c', WAIT],
              volumeMounts: [{ name: 'data', mountPath: pathOf(claims.namespace, name), readOnly: !written }],
            },
          ],
          volumes: [{ name: 'data', persistentVolumeClaim: { claimName: name } }],
        },
      },
    },
  };
}

const isRunning = ({ status }: Pod): boolean =>
  status?.phase === 'Running' && (status.conditions ?? []).some(({ type, status: state }) => type === 'Ready' && state === 'True');

/** Why a pod does not run, as the cluster tells it. */
function whyNot(pod: Pod | undefined): string {
  if (!pod) return 'there is no pod of it yet';
  const { phase = 'in no phase', conditions = [], containerStatuses = [] } = pod.status ?? {};
  const waiting = containerStatuses.map(({ state }) => state?.waiting).find(Boolean);
  const unscheduled = conditions.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  const why = waiting ? [waiting.reason, waiting.message].filter(Boolean).join(': ') : unscheduled?.message;
  return `its pod ${pod.metadata.name} is ${phase}${why ? ` (${why})` : ''}`;
}

async function podOf(ctx: Context, claims: Claims, job: string): Promise<string> {
  const end = ctx.clock.now().getTime() + parseDuration(claims.start);
  for (;;) {
    const [pod] = await listOf<Pod>(ctx, claims, 'pods', `job-name=${job}`);
    if (pod && isRunning(pod)) return pod.metadata.name;
    const over = pod?.status?.phase === 'Failed' || pod?.status?.phase === 'Succeeded';
    if (over || ctx.clock.now().getTime() >= end)
      throw new BkpError('failed', `job ${claims.namespace}/${job} has not started${over ? '' : ` in ${claims.start}`}: ${whyNot(pod)}`, {
        next: `kubectl --namespace ${claims.namespace} describe pods --selector job-name=${job}; \`claims.start\` gives it longer`,
      });
    await ctx.clock.sleep(LOOK_MS, ctx.signal);
  }
}

async function remove(ctx: Context, claims: Claims, job: string): Promise<void> {
  const alive = { run: ctx.run, signal: AbortSignal.timeout(CLEAN_UP_MS) };
  await kubectl(alive, claims, ['delete', 'job', job, '--cascade=background', '--wait=false', '--ignore-not-found']).catch(error =>
    ctx.report.emit({
      type: 'warning',
      text: `job ${claims.namespace}/${job} stays behind, and ends by itself within minutes: ${sentence(error)}`,
    }),
  );
}

/**
 * Runs a Job that mounts a claim for as long as `use` takes, and removes it however that ends.
 * @param use gets the place where the tools of its pod run, and what opens it once more to clean up after the run was ended
 * @throws BkpError('failed') when the pod does not run within `claims.start`
 */
export async function inJob<T>(
  ctx: Context,
  claims: Claims,
  claim: Mountable,
  id: Id,
  use: (site: Site, again: () => Promise<Site>) => Promise<T>,
): Promise<T> {
  const job = jobOf(claims, claim, ctx.name, id, randomBytes(4).toString('hex'));
  const { name } = job.metadata;
  try {
    await kubectl(ctx, claims, ['create', '--filename', '-'], JSON.stringify(job));
    const pod = await podOf(ctx, claims, name);
    const { namespace, context, kubeconfig } = claims;
    const where = { kubectl: { namespace, pod, container: 'restic', context, kubeconfig } };
    const site = await openSite(ctx, where);
    try {
      return await use(site, () => openSite({ ...ctx, signal: AbortSignal.timeout(CLEAN_UP_MS) }, where));
    } finally {
      await site.close();
    }
  } finally {
    await remove(ctx, claims, name);
  }
}
