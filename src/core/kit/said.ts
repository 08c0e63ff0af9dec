import type { Config } from '../config/index.ts';

/** Fields that say when backups run, what prune keeps and what it costs: no restore depends on them. */
const ELSEWHERE = new Set([
  'schedule',
  'rpo',
  'retention',
  'alarmBelow',
  'pruneShare',
  'need',
  'spool',
  'protected',
  'kit',
  'drills',
  'price',
]);

function* leaves(value: unknown, path: string): Generator<[string, string]> {
  if (value === undefined) return;
  if (typeof value !== 'object' || value === null) yield [path, JSON.stringify(value)];
  else for (const [key, item] of Object.entries(value)) if (!ELSEWHERE.has(key)) yield* leaves(item, path === '' ? key : `${path}.${key}`);
}

/**
 * What a config says that a restore depends on: the keys but for the signing one, and stores and entries of the environments.
 * @param hash makes a short text of a value, which may be a secret that was written out
 * @returns path (`keys.trusted.0`, `stores.b2.bucket`, `postgres.app.port`; with the environment before it but for the first) → hash
 */
export function saidBy(config: Config, envs: readonly string[], hash: (text: string) => string): Record<string, string> {
  const { signing: _signing, ...keys } = config.keys;
  const all = [...leaves(keys, 'keys')];
  for (const [n, env] of envs.entries()) {
    const { name: _name, targets, ...rest } = config.environments[env]!;
    all.push(...leaves({ ...rest, ...targets }, n === 0 ? '' : env));
  }
  return Object.fromEntries(all.map(([path, value]) => [path, hash(value)]));
}

/** What a path is about: `keys.trusted`, `stores.b2`, `postgres.app`. */
const subjectOf = (path: string): string => path.split('.').slice(0, 2).join('.');

/**
 * What of a config is another one than when a kit was made, a sentence for each store, entry and kind of key.
 * @param then `said` of the kit
 * @param now of the present config
 */
export function differences(then: Readonly<Record<string, string>>, now: Readonly<Record<string, string>>): string[] {
  const subjects = [...new Set([...Object.keys(then), ...Object.keys(now)].map(subjectOf))].sort();
  return subjects.flatMap(subject => {
    const of = (said: Readonly<Record<string, string>>): string[] => Object.keys(said).filter(path => subjectOf(path) === subject);
    const [before, after] = [of(then), of(now)];
    if (before.length === 0) return [`${subject} is in the config and not in the kit`];
    if (after.length === 0) return [`${subject} is in the kit and no longer in the config`];
    const changed = [...new Set([...before, ...after])].filter(path => then[path] !== now[path]);
    return changed.length === 0 ? [] : [`${subject} is another one than in the kit: ${changed.sort().join(', ')}`];
  });
}
