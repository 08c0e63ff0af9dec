import { BkpError } from '../errors.ts';
import { near } from '../near.ts';
import type { Config, Environment, TargetEntry } from './types.ts';

const names = (of: object): string => Object.keys(of).join(', ') || 'none';

function suggestion(word: string, all: readonly string[]): string[] {
  const found = near(word, all);
  return found === undefined ? [] : [`Did you mean "${found}"?`];
}

function defaultName(config: Config): string {
  const all = Object.keys(config.environments);
  return config.defaultEnv ?? (all.length === 1 ? all[0]! : 'production');
}

/** The environment of that name, or the default one. Throws BkpError('usage') naming the known ones. */
export function environment(config: Config, name?: string): Environment {
  const wanted = name ?? defaultName(config);
  if (Object.hasOwn(config.environments, wanted)) return config.environments[wanted]!;
  const why = name === undefined ? 'no environment was named, and the default' : 'the environment';
  throw new BkpError('usage', `${why} "${wanted}" is not in ${config.file}; it has: ${names(config.environments)}`, {
    next: [...suggestion(wanted, Object.keys(config.environments)), 'Name one with --env, or set defaultEnv'],
  });
}

/** The entry of a kind; `name` may be left out when there is exactly one. Throws BkpError('notFound') naming the known ones. */
export function entry(env: Environment, kind: string, name?: string): { name: string; entry: TargetEntry } {
  const entries = Object.hasOwn(env.targets, kind) ? env.targets[kind]! : {};
  const all = Object.keys(entries);
  const wanted = name ?? (all.length === 1 ? all[0] : undefined);
  if (wanted !== undefined && Object.hasOwn(entries, wanted)) return { name: wanted, entry: entries[wanted]! };
  const what = wanted === undefined && all.length ? `${kind} has several entries, so one must be named` : `${kind} has no such entry`;
  const asked = wanted === undefined ? '' : ` as "${wanted}"`;
  throw new BkpError('notFound', `${what}${asked} in environment ${env.name}; it has: ${names(entries)}`, {
    next: suggestion(wanted ?? '', all),
  });
}
