import { labelsOf, rendered } from './objects.ts';
import type { Claim, Rendered, Subject, World } from './types.ts';
import { spoolClaim } from './volumes.ts';

const claim = (world: World, subject: Subject, { name, size, what }: Claim): Rendered =>
  rendered(
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace: subject.namespace, labels: labelsOf(world, subject) },
      spec: {
        accessModes: ['ReadWriteOnce'],
        ...(world.options.storageClass === undefined ? {} : { storageClassName: world.options.storageClass }),
        resources: { requests: { storage: size } },
      },
    },
    [`The ${what}. A claim that is deleted takes what lies in it along.`],
  );

/** Where the stores of an entry that are directories lie, and the spool of its stream. */
export const claimsOf = (world: World, subject: Subject): Rendered[] => [
  ...subject.claims.map(each => claim(world, subject, each)),
  ...(subject.jobs.some(({ verb }) => verb === 'stream') ? spoolClaim(world, subject) : []).map(each => claim(world, subject, each)),
];
