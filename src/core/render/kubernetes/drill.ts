import { drillOf, originOf, rehearsed, settingsToRead } from '../drills.ts';
import { FULL_DR, type Job, type Part } from '../jobs.ts';
import { needsOf, type Secret } from '../needs.ts';
import { CONFIG, configMap, configText } from './config.ts';
import { cronJob } from './cronJob.ts';
import { elsewhere, storesElsewhere } from './elsewhere.ts';
import { notifierOpenings, storeOpenings } from './network.ts';
import type { Rendered, Subject, World } from './types.ts';

/** Rehearsals of an environment in a cluster. */
export interface Drills {
  /** Out of stores elsewhere, together: what there is once the cluster and its claims are gone. */
  apart: Part[];
  /** By `kind/name`: entries that lie in claims only, or are alone; each among the jobs of its own. */
  own: ReadonlyMap<string, Job>;
  /** What nobody rehearses here. */
  notes: string[];
}

const called = ({ kind, name }: Pick<Part, 'kind' | 'name'>): string => `${kind}/${name}`;

/** What is rehearsed in the cluster, of the entries that have jobs there. Throws BkpError('usage') for a schedule. */
export function drillsOf({ config, env, options, traits }: World, subjects: readonly Subject[]): Drills {
  if (!options.drill) return { apart: [], own: new Map(), notes: [] };
  const origin = originOf(config, env);
  const { together, asRoot } = rehearsed(config, env, subjects, traits);
  const far = together.filter(({ entry }) => storesElsewhere(origin, entry).length > 0);
  const isApart = far.length > 1 || origin !== env;
  // Claims of another environment are in another namespace, or another cluster.
  const near = origin === env ? together.filter(part => !isApart || !far.includes(part)) : [];
  return {
    apart: isApart ? far : [],
    own: new Map(near.map(part => [called(part), drillOf(env, [part], options.schedules)])),
    notes: asRoot.map(
      part =>
        `${called(part)} is not drilled in a cluster, since its copy runs as root: bkp render systemd ${part.kind} ${part.name} on a host`,
    ),
  };
}

/** The drill of several with all that it needs: a config of its own, without stores that are claims. */
export function drillApart(world: World, parts: readonly Part[]): { objects: Rendered[]; secrets: Secret[]; namespace: string } {
  const { config, env, options } = world;
  const { namespace } = options;
  const whole = originOf(config, env);
  const seen = parts.map(part => ({ ...part, entry: elsewhere(whole, part.entry) }));
  const { settings, own, origin } = settingsToRead(config, env, seen);
  const job = drillOf(env, seen, options.schedules);
  const subject: Subject = {
    ...{ kind: FULL_DR, name: '', node: false, jobs: [job], claims: [] },
    namespace,
    config: `${CONFIG}-drill`,
  };
  const secrets = needsOf(settings, origin, job);
  const text = configText({ config: settings, env: own });
  return {
    objects: [
      configMap(world, namespace, text, subject.config),
      ...storeOpenings(
        world,
        subject,
        [...new Set(seen.flatMap(({ entry }) => entry.stores))].map(store => origin.stores[store]!),
      ),
      ...notifierOpenings(world, subject),
      cronJob(world, subject, job, secrets),
    ],
    secrets,
    namespace,
  };
}
