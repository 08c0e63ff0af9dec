import { type SecretRef, secretsIn, withoutSecrets } from '../config/secrets.ts';
import type { Config, Environment, TargetEntry } from '../config/types.ts';
import { BkpError } from '../errors.ts';
import type { Job } from './jobs.ts';
import { secretKey } from './names.ts';
import { kubectlOf, sshOf } from './place.ts';

/** What one job is given: a variable, or a file at a path. `scope` = to what it belongs, such as `signing` or `store-offsite`. */
export interface Secret {
  scope: string;
  from: 'env' | 'file';
  /** Name of the variable, or path of the file. */
  name: string;
  /** Under which it is kept: the variable's name, or the file's without its directory. */
  key: string;
}

/** Settings that name a file which bkp hands on unread. Those of a kind lie where its tools run. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  postgres: ['sslrootcert', 'sslcert', 'sslkey', 'walg.pgpKeyPath'],
  redis: ['tls.ca', 'tls.cert', 'tls.key'],
  etcd: ['cacert', 'cert', 'key'],
};
const ANYWHERE = ['where.ssh.identityFile', 'where.ssh.knownHosts', 'where.kubectl.kubeconfig', 'claims.kubeconfig'];

const valueAt = (entry: TargetEntry, path: string): unknown => path.split('.').reduce<any>((at, key) => at?.[key], entry);

/** Names of settings of an entry whose files the host of the job has to have. */
export const fileSettings = (kind: string, entry: TargetEntry): string[] =>
  [...(kubectlOf(entry) || sshOf(entry) ? [] : (FILES[kind] ?? [])), ...ANYWHERE].filter(path => valueAt(entry, path) !== undefined);

const keyOf = ({ from, name }: Pick<SecretRef, 'from' | 'name'>): string =>
  secretKey(from === 'env' ? name : name.slice(name.lastIndexOf('/') + 1));

/** Every reference of an environment with the first thing that it belongs to: what is used twice is kept once. */
function scopes(config: Config, env: Environment): [string, unknown][] {
  return [
    ['keys', { recipients: config.keys.recipients, trusted: config.keys.trusted }],
    ['signing', { signing: config.keys.signing }],
    ['identity', { identity: config.keys.identity }],
    ...Object.entries(env.stores).map(([name, store]): [string, unknown] => [`store-${name}`, store]),
    ...Object.entries(env.notify ?? {}).map(([name, notifier]): [string, unknown] => [`notify-${name}`, notifier]),
    ...Object.entries(env.targets).flatMap(([kind, entries]) =>
      Object.entries(entries).map(([name, entry]): [string, unknown] => [`${kind}-${name}`, entry]),
    ),
  ];
}

const scopeOf = (config: Config, env: Environment, { from, name }: Pick<SecretRef, 'from' | 'name'>, otherwise: string): string =>
  scopes(config, env).find(([, tree]) => secretsIn(tree).some(ref => ref.from === from && ref.name === name))?.[0] ?? otherwise;

/** Fields of an entry that only what talks to the source looks at. */
const OF_THE_SOURCE = ['password', 'where', 'tls', 'cacert', 'cert', 'key', 'user', 'host', 'sslrootcert', 'sslcert', 'sslkey'];

/** The password of restic is no login at the source: it opens the repositories. */
const isOfSource = (kind: string, field: string): boolean => OF_THE_SOURCE.includes(field) && !(kind === 'volumes' && field === 'password');

function entryTree({ kind, entry, source }: Pick<Job, 'kind' | 'entry' | 'source'>): unknown {
  return source ? entry : Object.fromEntries(Object.entries(entry).filter(([field]) => !isOfSource(kind, field)));
}

/** bkp would derive it from the age identity, which opens everything and is in no job's hands but a drill's. */
function refuseDerived({ kind, name, entry, identity }: Pick<Job, 'kind' | 'name' | 'entry' | 'identity'>): void {
  if (kind !== 'volumes' || entry.engine !== 'files' || entry['password'] !== undefined || identity) return;
  throw new BkpError('usage', `volumes/${name}: nothing says the password of its restic, and no scheduled backup holds the age identity`, {
    next: `bkp keygen --derive volumes/${name} prints the one that it has; \`password: \${NAME}\` in the entry takes it from a secret`,
  });
}

function ofPart(config: Config, env: Environment, job: Pick<Job, 'kind' | 'name' | 'entry' | 'source' | 'signs' | 'identity'>): Secret[] {
  refuseDerived(job);
  const { keys } = config;
  const refs = [
    ...secretsIn({ recipients: keys.recipients, trusted: keys.trusted }),
    ...(job.signs ? secretsIn(keys.signing) : []),
    ...(job.identity ? secretsIn(keys.identity) : []),
    ...job.entry.stores.flatMap(store => secretsIn(env.stores[store])),
    ...secretsIn(entryTree(job)),
  ];
  const files = (job.source ? fileSettings(job.kind, job.entry) : [])
    .map(path => ({ from: 'file' as const, name: String(valueAt(job.entry, path)) }))
    .filter(({ name }) => !name.includes('${'));
  const own = `${job.kind}-${job.name}`;
  return [...refs, ...files].map(({ from, name }) => ({
    ...{ scope: scopeOf(config, env, { from, name }, own), from, name },
    key: keyOf({ from, name }),
  }));
}

/**
 * The secrets that one job reads, and no other one. Nothing is resolved.
 * @param env the one whose stores it reads
 */
export function needsOf(
  config: Config,
  env: Environment,
  job: Pick<Job, 'parts' | 'source' | 'signs' | 'identity' | 'notifiers'>,
): Secret[] {
  const told = secretsIn(job.notifiers).map(({ from, name }) => ({
    ...{ scope: scopeOf(config, env, { from, name }, 'notify'), from, name },
    key: keyOf({ from, name }),
  }));
  const all = [...job.parts.flatMap(part => ofPart(config, env, { ...job, ...part })), ...told];
  return refuseDoubles([...new Map(all.map(each => [`${each.from} ${each.name}`, each])).values()]);
}

/** Two files of one name, in one place. */
export function refuseDoubles(secrets: readonly Secret[]): Secret[] {
  const seen = new Map<string, Secret>();
  for (const each of secrets) {
    const other = seen.get(`${each.scope} ${each.key}`);
    if (other && other.name !== each.name)
      throw new BkpError('usage', `${other.name} and ${each.name} would both be kept as "${each.key}" of ${each.scope}`, {
        next: 'give one of the two files another name',
      });
    seen.set(`${each.scope} ${each.key}`, each);
  }
  return [...secrets];
}

/** Paths of secrets that stand in the config itself, in words such as `environments.production.postgres.app.password`. */
function writtenOut(tree: unknown, shown: unknown, path: string): string[] {
  if (tree === shown) return [];
  if (typeof tree !== 'object' || tree === null) return [path];
  return Object.entries(tree).flatMap(([key, value]) => writtenOut(value, (shown as any)[key], path ? `${path}.${key}` : key));
}

/**
 * A config that is handed on may be read by many, so no secret may stand in it.
 * @throws BkpError('refused') naming each that does
 */
export function refuseWrittenOut(config: Config): void {
  const found = writtenOut(config, withoutSecrets(config), '');
  if (found.length === 0) return;
  throw new BkpError('refused', `${found.join(', ')} stands in ${config.file} itself, and what is rendered can be read by many`, {
    next: 'put ${NAME} or ${file:/path} in its place',
  });
}
