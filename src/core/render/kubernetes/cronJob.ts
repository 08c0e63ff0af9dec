import { cronJobSchedule } from '../cron.ts';
import { type Job, zoneOf } from '../jobs.ts';
import type { Secret } from '../needs.ts';
import { labelsOf, partOf, rendered } from './objects.ts';
import { podOf } from './pod.ts';
import type { Rendered, Subject, World } from './types.ts';

/** Ends that another try does not mend: usage, partial, refused, aborted, not found, conflict, verification failed, late. */
const FINAL = [2, 3, 4, 5, 6, 7, 9, 10];

/** Jobs get eleven characters more than their CronJob, and a name of Kubernetes has 63. */
const MOST = 52;

const failures = {
  rules: [
    // A node that is drained is no failure of the job.
    { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
    { action: 'FailJob', onExitCodes: { containerName: 'bkp', operator: 'In', values: FINAL } },
  ],
};

/** A job by its schedule: never two at a time, never for ever, never long after its time (CF15). */
export function cronJob(world: World, subject: Subject, job: Job, secrets: readonly Secret[]): Rendered {
  const { labels, spec } = podOf(world, subject, job, secrets);
  const own = labelsOf(world, subject, job.verb);
  return rendered(
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: `bkp-${job.verb}-${partOf(subject)}`, namespace: subject.namespace, labels: own },
      spec: {
        schedule: cronJobSchedule(job.schedule!, `schedule of ${job.verb} ${subject.kind}/${subject.name}`),
        timeZone: zoneOf(world.config),
        concurrencyPolicy: 'Forbid',
        startingDeadlineSeconds: job.lateS,
        successfulJobsHistoryLimit: 3,
        failedJobsHistoryLimit: 3,
        jobTemplate: {
          metadata: { labels: own },
          spec: {
            activeDeadlineSeconds: job.limitS,
            backoffLimit: job.retries,
            podFailurePolicy: failures,
            template: { metadata: { labels }, spec },
          },
        },
      },
    },
    [],
    MOST,
  );
}
