import type { Config, Environment } from '../../config/types.ts';
import { BkpError } from '../../errors.ts';
import { drillOf, rehearsed } from '../drills.ts';
import { jobsOf, type Schedules, type Traits, zoneOf } from '../jobs.ts';
import type { MadeFile } from '../kubernetes/text.ts';
import { refuseWrittenOut } from '../needs.ts';
import { clusterOf } from '../place.ts';
import { skippedRuns } from '../skipped.ts';
import { type SystemdOptions, unitsOf } from './units.ts';

/** All files by their place below `/`, and what a person does with them. */
export interface Units {
  files: MadeFile[];
  /** What looks wrong. */
  warnings: string[];
  /** Lines of commands. */
  notes: string[];
}

const USER = /^[a-z_][a-z0-9_-]{0,30}$/;

const begun = (files: readonly MadeFile[]): string[] =>
  files.flatMap(({ path }) => /([^/]+\.timer|bkp-stream-[^/]+\.service)$/.exec(path)?.[1] ?? []);

/** A kubeconfig that kubectl would look for at home is not there for a service. */
function refuseHome(env: Environment, { kind, name }: { kind: string; name: string }): void {
  const cluster = clusterOf(env.targets[kind]![name]!);
  if (!cluster || cluster.kubeconfig !== undefined) return;
  throw new BkpError('usage', `${kind}/${name}: a service has no home in which kubectl would find a kubeconfig`, {
    next: '`kubeconfig: PATH` beside its namespace, or bkp render kubernetes',
  });
}

/**
 * Services and timers of the entries that are asked for.
 * @throws BkpError('usage' | 'refused')
 */
export function renderSystemd(
  {
    config,
    env,
    traits,
    schedules,
    options,
  }: {
    config: Config;
    env: Environment;
    traits: Readonly<Record<string, Traits>>;
    schedules: Schedules;
    options: SystemdOptions;
  },
  chosen: readonly { kind: string; name: string }[],
): Units {
  if (!USER.test(options.user)) throw new BkpError('usage', `"${options.user}" is no name of a user`);
  refuseWrittenOut(config);
  for (const each of chosen) refuseHome(env, each);
  const { together, asRoot } = rehearsed(config, env, options.drill ? chosen : [], traits);
  const drills = [...(together.length > 0 ? [together] : []), ...asRoot.map(part => [part])].map(parts => drillOf(env, parts, schedules));
  const jobs = chosen.flatMap(each => jobsOf(env, each.kind, each.name, traits[each.kind]!, schedules));
  const all = [...jobs, ...drills];
  const made = all.map(job => unitsOf(config, env, job, options));
  const users = { path: 'usr/lib/sysusers.d/bkp.conf', text: `u ${options.user} - "bkp backups" /var/lib/bkp\n` };
  const files = [...(options.user === 'root' ? [] : [users]), ...made.flatMap(each => each.files)];
  const variables = [...new Set(made.flatMap(({ secrets }) => secrets.flatMap(({ from, name }) => (from === 'env' ? [name] : []))))];
  return {
    files,
    warnings: skippedRuns(all, zoneOf(config)),
    notes: [
      ...(options.user === 'root' ? [] : ['systemd-sysusers']),
      ...(variables.length > 0 ? [`install -d -m 700 ${options.credentials}`] : []),
      ...variables.map(name => `install -m 600 FILE-WITH-IT ${options.credentials}/${name}`),
      'systemctl daemon-reload',
      ...begun(files).map(unit => `systemctl enable --now ${unit}`),
    ],
  };
}
