import { shownConfig } from '../config/shown.ts';
import type { Config, Environment } from '../config/types.ts';

/**
 * The config for what runs by itself in one environment: with all defaults, references as they are, and no other environment but the one
 * that it restores from.
 * @param temp directory for temporary files there
 */
export function settingsFor(config: Config, env: Environment, temp: string | undefined): Record<string, any> {
  const names = [env.name, ...(env.restoresFrom ? [env.restoresFrom] : [])];
  const environments = Object.fromEntries(names.map(name => [name, config.environments[name]!]));
  const { temp: _temp, ...rest } = config;
  return shownConfig({ ...rest, ...(temp === undefined ? {} : { temp }), defaultEnv: env.name, environments });
}
