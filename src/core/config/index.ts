import { BkpError } from '../errors.ts';
import type { Config, Environment, TargetEntry } from './schema.ts';

export { configJsonSchema, parseConfig } from './parse.ts';
export type { Config, Environment, Registry, TargetEntry } from './schema.ts';
export { hasReference, Redactor, referencesIn, resolveSecrets, type SecretSource, withoutSecrets } from './secrets.ts';

/** The environment asked for, else the config's default, else the only one, else `production`. Throws BkpError('usage') naming those there are. */
export function environment(config: Config, asked?: string): Environment {
  const names = Object.keys(config.environments);
  const name = asked ?? config.defaultEnv ?? (names.length === 1 ? names[0]! : 'production');
  const found = config.environments[name];
  if (!found)
    throw new BkpError('usage', `there is no environment "${name}" in ${config.file}`, { next: `--env with one of: ${names.join(', ')}` });
  return found;
}

/** The named entry of a kind; the name may be left out where there is one. Throws BkpError('notFound') naming those there are. */
export function entry(env: Environment, kind: string, name?: string): { name: string; entry: TargetEntry } {
  const entries = env.targets[kind] ?? {};
  const names = Object.keys(entries);
  if (names.length === 0)
    throw new BkpError('notFound', `environment ${env.name} has no ${kind} in the config`, {
      next: `add it under environments.${env.name}.${kind}`,
    });
  if (name === undefined && names.length > 1)
    throw new BkpError('usage', `environment ${env.name} has ${names.length} entries of ${kind}: name one of ${names.join(', ')}`);
  const chosen = name ?? names[0]!;
  const found = entries[chosen];
  if (!found) throw new BkpError('notFound', `environment ${env.name} has no ${kind} "${chosen}"`, { next: `one of: ${names.join(', ')}` });
  return { name: chosen, entry: found };
}
