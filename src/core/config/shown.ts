import { withoutSecrets } from './secrets.ts';
import type { Config } from './types.ts';

/** The config as it may be shown: defaults filled, `${…}` kept, written-out secrets hidden, kinds beside `stores` as in the file. */
export function shownConfig(config: Config): Record<string, unknown> {
  const { file: _file, environments, ...rest } = withoutSecrets(config);
  const envs = Object.entries(environments).map(([name, { name: _name, targets, ...env }]) => [name, { ...env, ...targets }]);
  return { ...rest, environments: Object.fromEntries(envs) };
}
