import { secretsIn } from '../../config/secrets.ts';
import { drillOf } from '../drills.ts';
import { type Job, zoneOf } from '../jobs.ts';
import { imageName, objectName, quantity } from '../names.ts';
import { needsOf, refuseWrittenOut, type Secret } from '../needs.ts';
import { skippedRuns } from '../skipped.ts';
import { claimsOf } from './claims.ts';
import { configMap, configText } from './config.ts';
import { cronJob } from './cronJob.ts';
import { drillApart, drillsOf } from './drill.ts';
import { namespaces } from './namespace.ts';
import { closed, openings } from './network.ts';
import { idleAccount, rightsOf } from './rbac.ts';
import { prometheusRule } from './rules.ts';
import { sealedSecrets, secretNotes } from './secrets.ts';
import { streamOf } from './stream.ts';
import { type Chosen, subjectsOf } from './subjects.ts';
import type { KubernetesOptions, Rendered, Subject, World } from './types.ts';
import { walgMaps } from './walg.ts';

/** All objects, and what a person has to know of them. */
export interface Manifests {
  objects: Rendered[];
  /** What was left out, and what looks wrong. */
  warnings: string[];
  /** How the Secrets are made; empty where their shapes are rendered. */
  notes: string[];
}

function check(options: KubernetesOptions): void {
  objectName(options.namespace, 58);
  objectName(options.secretName);
  imageName(options.image);
  if (options.storageClass !== undefined) objectName(options.storageClass);
  for (const size of [options.storeSize, options.spoolSize, options.scratchSize, options.drillSize]) quantity(size);
}

const pushSecrets = ({ options }: World, verb: string): Secret[] =>
  verb === 'status' && options.pushgateway?.includes('${')
    ? secretsIn(options.pushgateway).map(({ from, name }) => ({ scope: 'pushgateway', from, name, key: name }))
    : [];

/** The jobs of one entry, with what belongs to it alone. */
function ofSubject(world: World, subject: Subject, checksum: string): { objects: Rendered[]; secrets: Secret[] } {
  const jobs = subject.jobs.map(job => ({ job, secrets: [...needsOf(world.config, world.env, job), ...pushSecrets(world, job.verb)] }));
  return {
    objects: [
      ...rightsOf(world, subject),
      ...claimsOf(world, subject),
      ...openings(world, subject),
      ...jobs.map(({ job, secrets }) =>
        job.schedule === undefined ? streamOf(world, subject, job, secrets, checksum) : cronJob(world, subject, job, secrets),
      ),
    ],
    secrets: jobs.flatMap(each => each.secrets),
  };
}

const withDrill = (subject: Subject, drills: ReadonlyMap<string, Job>): Subject => {
  const drill = drills.get(`${subject.kind}/${subject.name}`);
  return drill ? { ...subject, jobs: [...subject.jobs, drill] } : subject;
};

/**
 * Everything that runs the backups of an environment in a cluster.
 * @param chosen the entries that are asked for
 * @param sha256 of a text, in hex
 * @throws BkpError('usage' | 'refused') for names, sizes, schedules and paths that a cluster would not take, and for a secret in the config
 */
export function renderKubernetes(world: World, chosen: readonly Chosen[], sha256: (text: string) => string): Manifests {
  check(world.options);
  refuseWrittenOut(world.config);
  const { subjects: backedUp, notes } = subjectsOf(world, chosen);
  const drills = drillsOf(world, backedUp);
  const subjects = backedUp.map(subject => withDrill(subject, drills.own));
  const used = [...new Set(subjects.map(({ namespace }) => namespace))];
  const text = configText(world);
  const parts = [
    ...subjects.map(subject => ({ namespace: subject.namespace, ...ofSubject(world, subject, sha256(text)) })),
    ...(drills.apart.length > 0 ? [drillApart(world, drills.apart)] : []),
  ];
  const { sealed, pushgateway, rules, schedules } = world.options;
  const jobs = [
    ...subjects.flatMap(subject => subject.jobs),
    ...(drills.apart.length > 0 ? [drillOf(world.env, drills.apart, schedules)] : []),
  ];
  return {
    objects: [
      ...namespaces(world, used),
      ...used.flatMap(namespace => [idleAccount(world, namespace), configMap(world, namespace, text), closed(world, namespace)]),
      ...(sealed ? sealedSecrets(world, parts) : []),
      ...parts.flatMap(({ objects }) => objects),
      ...walgMaps(world),
      ...(pushgateway !== undefined && rules ? [prometheusRule(world, subjects)] : []),
    ],
    warnings: [...notes, ...drills.notes, ...skippedRuns(jobs, zoneOf(world.config))],
    notes: sealed ? [] : secretNotes(world.options, parts),
  };
}
