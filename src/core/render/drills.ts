import type { Config, Environment } from '../config/types.ts';
import { FULL_DR, type Job, jobOf, type Part, type Schedules, type Traits } from './jobs.ts';
import { narrowed, withStores } from './narrow.ts';

/** Whose backups an environment restores. */
export const originOf = ({ environments }: Pick<Config, 'environments'>, { name, restoresFrom }: Environment): Environment =>
  environments[restoresFrom ?? name]!;

/** Its copy runs as root, in a network of its own: no pod may that, and nothing else has to. */
const isRoots = ({ kind }: Pick<Part, 'kind'>): boolean => kind === 'samba';

/** What is rehearsed, and how: what one drill can bring back together, and what has one of its own. */
export interface Rehearsed {
  together: Part[];
  asRoot: Part[];
}

/**
 * The entries whose restore can be rehearsed, each with the stores in which the backups lie: those of the environment that it restores from.
 * None where the config has no age identity, since nothing would open.
 */
export function rehearsed(
  config: Config,
  env: Environment,
  chosen: readonly { kind: string; name: string }[],
  traits: Readonly<Record<string, Traits>>,
): Rehearsed {
  const origin = originOf(config, env);
  if (config.keys.identity === undefined && !config.keys.unencrypted) return { together: [], asRoot: [] };
  const parts = chosen.flatMap(({ kind, name }): Part[] => {
    const entry = env.targets[kind]![name]!;
    const stores = origin.targets[kind]?.[name]?.stores;
    return stores && !entry.fullDr.skip && traits[kind]!.drill(entry) ? [{ kind, name, entry: withStores(entry, stores) }] : [];
  });
  return { together: parts.filter(part => !isRoots(part)), asRoot: parts.filter(isRoots) };
}

/** One drill: of one entry, or of several in the order in which the stack comes back. Throws BkpError('usage') for a schedule. */
export function drillOf(env: Environment, parts: readonly Part[], schedules: Schedules): Job {
  const [first, ...more] = parts;
  if (more.length === 0) return jobOf(env, 'drill', first!, schedules.drill, false);
  return { ...jobOf(env, 'drill', { ...first!, kind: FULL_DR, name: '' }, schedules.drill, false), parts };
}

const entriesIn = ({ targets }: Environment, parts: readonly Part[]): Part[] =>
  parts.map(({ kind, name }) => ({ kind, name, entry: targets[kind]![name]! }));

/**
 * A config to restore with: some entries, and the environment whose backups they are.
 * @param parts with the stores that may be read
 */
export function settingsToRead(
  config: Config,
  env: Environment,
  parts: readonly Part[],
): { settings: Config; own: Environment; origin: Environment } {
  const whole = originOf(config, env);
  const read = entriesIn(whole, parts).map((part, n) => ({
    ...part,
    entry: { ...withStores(part.entry, parts[n]!.entry.stores), need: 1 },
  }));
  const origin = narrowed(whole, read);
  const own = whole === env ? origin : narrowed(env, entriesIn(env, parts));
  return { settings: { ...config, environments: { ...config.environments, [env.name]: own, [origin.name]: origin } }, own, origin };
}
