import { stringify } from 'yaml';
import type { Config, Environment } from '../../config/types.ts';
import { BkpError } from '../../errors.ts';
import { originOf } from '../drills.ts';
import { type Job, zoneOf } from '../jobs.ts';
import type { MadeFile } from '../kubernetes/text.ts';
import { plainPath } from '../names.ts';
import { needsOf, type Secret } from '../needs.ts';
import { onCalendar } from './calendar.ts';
import { hardening, needsRoot, toolPaths } from './hardening.ts';
import { unitSettings } from './settings.ts';

/** What an operator says of the host. */
export interface SystemdOptions {
  /** Path of bkp. */
  program: string;
  /** Who runs what does not need root. */
  user: string;
  /** Directory in which each variable of the config is a file of its name, for root to read. */
  credentials: string;
  /** Restores are rehearsed, which takes the age identity. */
  drill: boolean;
}

const UNITS = 'etc/systemd/system';
const CONFIGS = 'etc/bkp/units';

/** `bkp-backup-postgres-app`, the same for unit, timer and config. */
export const unitName = ({ verb, kind, name }: Pick<Job, 'verb' | 'kind' | 'name'>): string =>
  ['bkp', verb, kind, ...(name ? [name] : [])].join('-');

/** `postgres/app`, or `full-dr`, in sentences. */
const called = ({ kind, name }: Pick<Job, 'kind' | 'name'>): string => (name ? `${kind}/${name}` : kind);

const section = (name: string, lines: readonly string[]): string => `[${name}]\n${lines.join('\n')}\n`;

/** In a unit `%` is the beginning of a specifier, and white space ends a word: paths with such are refused before. */
const words = (args: readonly string[]): string =>
  args.map(arg => (/[\s"'\\]/.test(arg) ? JSON.stringify(arg) : arg).replaceAll('%', '%%')).join(' ');

const credential = ({ credentials }: SystemdOptions, { from, name, key }: Secret): string =>
  `LoadCredential=${key}:${from === 'file' ? plainPath(name, 'a file') : `${plainPath(credentials, '--credentials')}/${name}`}`;

/** Keys of credentials share one directory, wherever they come from. */
function refuseSameKeys(secrets: readonly Secret[]): void {
  const twice = secrets.find((each, n) => secrets.findIndex(({ key }) => key === each.key) !== n);
  if (!twice) return;
  const [first, second] = secrets.filter(({ key }) => key === twice.key);
  throw new BkpError('usage', `${first!.name} and ${second!.name} would both be the credential "${twice.key}"`, {
    next: 'give one of the two files another name',
  });
}

/** The environment whose stores a job reads and writes. */
const storesOf = (config: Config, env: Environment, { verb }: Job): Environment => (verb === 'drill' ? originOf(config, env) : env);

/** Stores of a job that are directories. */
const storePaths = (env: Environment, { parts }: Job): string[] =>
  [...new Set(parts.flatMap(({ entry }) => entry.stores))].flatMap(store => {
    const { type, path } = env.stores[store]!;
    return type === 'directory' ? [plainPath(String(path), `path of store ${store}`)] : [];
  });

/** A drill needs the room of what it brings back, and `/tmp` may be memory. */
const scratchOf = ({ verb }: Job, temp: string | undefined): string[] =>
  verb === 'drill' && temp === undefined ? ['Environment=TMPDIR=/var/tmp'] : [];

/** Directories under /var/lib are systemd's to make, for the user that needs them; others have to be there. */
function directories(env: Environment, job: Job, temp: string | undefined): string[] {
  const stores = storePaths(env, job);
  const spool = job.verb === 'stream' && job.entry['spool'] !== undefined ? plainPath(String(job.entry['spool']), 'spool') : undefined;
  const state = spool?.startsWith('/var/lib/') ? spool.slice('/var/lib/'.length) : undefined;
  const scratch = temp === undefined || /^\/(var\/)?tmp(\/|$)/.test(temp) ? [] : [plainPath(temp, 'temp')];
  const written = [...stores, ...(spool && !state ? [spool] : []), ...scratch, ...toolPaths(job)];
  return [
    ...(state ? [`StateDirectory=${state}`, 'StateDirectoryMode=0700'] : []),
    ...(written.length > 0 ? [`ReadWritePaths=${written.map(path => `-${path}`).join(' ')}`] : []),
  ];
}

const mounts = (env: Environment, job: Job): string[] => {
  const paths = storePaths(env, job);
  return paths.length > 0 ? [`RequiresMountsFor=${paths.join(' ')}`] : [];
};

/** A stream begins again whatever ended it, but for what waiting does not mend: usage, refused. */
const lasting = ['Type=exec', 'Restart=always', 'RestartSec=10', 'RestartPreventExitStatus=2 4', 'TimeoutStopSec=60'];

const once = ({ limitS }: Job): string[] => ['Type=oneshot', `TimeoutStartSec=${limitS}`, 'TimeoutStopSec=60'];

function service(env: Environment, config: Config, job: Job, secrets: readonly Secret[], options: SystemdOptions): string {
  const unit = unitName(job);
  const user = needsRoot(job) ? 'root' : options.user;
  const args = ['--config', `/${CONFIGS}/${unit}.yaml`, ...job.args];
  return [
    section('Unit', [
      `Description=bkp ${job.verb} of ${called(job)} (${env.name})`,
      'Wants=network-online.target',
      'After=network-online.target',
      ...mounts(storesOf(config, env, job), job),
      // A server that is down for an hour is no reason to give up.
      ...(job.schedule === undefined ? ['StartLimitIntervalSec=0'] : []),
    ]),
    section('Service', [
      ...(job.schedule === undefined ? lasting : once(job)),
      `ExecStart=${plainPath(options.program, '--program')} ${words(args)}`,
      `User=${user}`,
      `Group=${user}`,
      'CacheDirectory=bkp',
      'CacheDirectoryMode=0700',
      'Environment=XDG_CACHE_HOME=%C',
      ...secrets.map(secret => credential(options, secret)),
      ...scratchOf(job, config.temp),
      ...directories(storesOf(config, env, job), job, config.temp),
      ...hardening(job),
    ]),
    ...(job.schedule === undefined ? [section('Install', ['WantedBy=multi-user.target'])] : []),
  ].join('\n');
}

const timer = (config: Config, job: Job): string =>
  [
    section('Unit', [`Description=schedule of bkp ${job.verb} of ${called(job)}`]),
    section('Timer', [
      ...onCalendar(job.schedule!, zoneOf(config), `schedule of ${job.verb} ${called(job)}`).map(each => `OnCalendar=${each}`),
      // A run that was missed while the host was down is made up for once it is up.
      'Persistent=true',
      'AccuracySec=1s',
    ]),
    section('Install', ['WantedBy=timers.target']),
  ].join('\n');

/**
 * Service, timer and config of one job.
 * @throws BkpError('usage') for schedules and paths that no unit can hold
 */
export function unitsOf(config: Config, env: Environment, job: Job, options: SystemdOptions): { files: MadeFile[]; secrets: Secret[] } {
  if (config.temp?.includes('${')) plainPath(config.temp, 'temp');
  const secrets = needsOf(config, storesOf(config, env, job), job);
  refuseSameKeys(secrets);
  const unit = unitName(job);
  const settings = stringify(unitSettings(config, env, job, secrets, `${unit}.service`), { lineWidth: 0 });
  const files = [
    { path: `${CONFIGS}/${unit}.yaml`, text: settings },
    { path: `${UNITS}/${unit}.service`, text: service(env, config, job, secrets, options) },
    ...(job.schedule === undefined ? [] : [{ path: `${UNITS}/${unit}.timer`, text: timer(config, job) }]),
  ];
  return { files, secrets };
}
