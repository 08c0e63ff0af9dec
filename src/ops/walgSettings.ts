import { stringify } from 'yaml';
import { shellWord } from '../core/shell.ts';

export type SettingsFormat = 'env' | 'yaml' | 'configmap';

type Values = Readonly<Record<string, string>>;

/** A secret is only ever shown as a reference: the config's own, or one by its name in place of what is written out there. */
const references = (secret: Values): Record<string, string> =>
  Object.fromEntries(Object.entries(secret).map(([name, value]) => [name, /^\$\{[^}]+\}$/.test(value) ? value : `\${${name}}`]));

const yaml = (value: unknown): string => stringify(value, { lineWidth: 0 }).trimEnd();

/** In single quotes for a shell, where `%` is nothing special. */
const quoted = (value: string): string => shellWord(value).replaceAll('%%', '%');

const env = (plain: Values, secret: Values): string =>
  [
    ...Object.entries(plain).map(([name, value]) => `${name}=${quoted(value)}`),
    ...Object.entries(references(secret)).map(([name, value]) => `${name}="${value}"`),
  ].join('\n');

/** A ConfigMap can be read by many: secrets are named in it, and come by a Secret of the same name. */
const configMap = (plain: Values, secret: Values, name: string): string =>
  [
    yaml({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: plain }),
    '# Not in here: a Secret with these names, read beside this map by',
    '#   envFrom:',
    `#     - configMapRef: { name: ${name} }`,
    `#     - secretRef: { name: ${name} }`,
    ...Object.entries(references(secret)).map(([key, value]) => `#   ${key}: ${value}`),
  ].join('\n');

/**
 * Settings of another program as text.
 * @param format `env` = lines for a shell or an env file, `yaml` = a file for its `--config`, `configmap` = for Kubernetes, without any secret
 * @param name of the ConfigMap and of the Secret beside it
 */
export function printed({ plain, secret }: { plain: Values; secret: Values }, format: SettingsFormat, name: string): string {
  if (format === 'env') return env(plain, secret);
  return format === 'yaml' ? yaml({ ...plain, ...references(secret) }) : configMap(plain, secret, name);
}
