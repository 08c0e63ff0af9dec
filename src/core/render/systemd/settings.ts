import type { Config, Environment } from '../../config/types.ts';
import { settingsToRead } from '../drills.ts';
import type { Job, Part } from '../jobs.ts';
import { narrowed } from '../narrow.ts';
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

function settingsOfEntry(config: Config, env: Environment, parts: readonly Part[]): { settings: Config; own: Environment } {
  const { restoresFrom: _from, ...own } = narrowed(env, parts);
  return { settings: { ...config, environments: { [env.name]: own } }, own };
}

/** The config of one unit: what it works on only, every secret read from the unit's credentials. */
export function unitSettings(config: Config, env: Environment, job: Job, secrets: readonly Secret[], unit: string): unknown {
  const { settings, own } = job.verb === 'drill' ? settingsToRead(config, env, job.parts) : settingsOfEntry(config, env, job.parts);
  return mapTexts(settingsFor(settings, own, config.temp), text => pointed(text, secrets, unit));
}
