import type { Job } from '../jobs.ts';
import type { Secret } from '../needs.ts';
import { labelsOf, partOf, rendered } from './objects.ts';
import { podOf } from './pod.ts';
import type { Rendered, Subject, World } from './types.ts';

/**
 * A log that is shipped for ever. A Deployment, since a StatefulSet's pod stays with a node that is gone, and the log goes on; `Recreate`,
 * since two would want one slot.
 * @param checksum of the config: what is read once, at the start, is read again when it changes
 */
export function streamOf(world: World, subject: Subject, job: Job, secrets: readonly Secret[], checksum: string): Rendered {
  const { labels, spec } = podOf(world, subject, job, secrets);
  const own = labelsOf(world, subject, job.verb);
  const selector = Object.fromEntries(Object.entries(own).filter(([label]) => /\/(name|instance|part-of|component)$/.test(label)));
  return rendered({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `bkp-stream-${partOf(subject)}`, namespace: subject.namespace, labels: own },
    spec: {
      replicas: 1,
      revisionHistoryLimit: 2,
      strategy: { type: 'Recreate' },
      selector: { matchLabels: selector },
      template: { metadata: { labels, annotations: { 'checksum/config': checksum } }, spec },
    },
  });
}
