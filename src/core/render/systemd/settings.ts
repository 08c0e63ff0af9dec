import type { Config, Environment } from '../../config/types.ts';
import type { Job } from '../jobs.ts';
import type { Secret } from '../needs.ts';
import { settingsFor } from '../settings.ts';

/** Where systemd puts the credentials of a unit, which only it can read. */
export const credentialsOf = (unit: string): string => `/run/credentials/${unit}`;

const TOKEN = /\$\$\{|\$\{([^}]*)\}/g;

/** Changes every text of a tree. */
function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map(item => mapTexts(item, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, change)]));
}

/** A reference becomes the file of its credential; one that this job does not need stays, and is not there for it. */
function pointed(text: string, secrets: readonly Secret[], unit: string): string {
  const plain = secrets.find(({ from, name }) => from === 'file' && name === text);
  if (plain) return `${credentialsOf(unit)}/${plain.key}`;
  return text.replace(TOKEN, (token, inside: string | undefined) => {
    const name = inside?.replace(/^file:/, '');
    const found = secrets.find(each => each.name === name && each.from === (inside?.startsWith('file:') ? 'file' : 'env'));
    return found ? `\${file:${credentialsOf(unit)}/${found.key}}` : token;
  });
}

/** The config of one unit: its own entry only, every secret read from the unit's credentials. */
export function unitSettings(
  config: Config,
  env: Environment,
  { kind, name, entry }: Job,
  secrets: readonly Secret[],
  unit: string,
): unknown {
  const stores = Object.fromEntries(entry.stores.map(store => [store, env.stores[store]!]));
  const { restoresFrom: _from, ...rest } = env;
  const own: Environment = { ...rest, stores, targets: { [kind]: { [name]: entry } } };
  const narrowed = { ...config, environments: { [env.name]: own } };
  return mapTexts(settingsFor(narrowed, own, config.temp), text => pointed(text, secrets, unit));
}
