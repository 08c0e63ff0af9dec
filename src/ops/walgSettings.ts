import { stringify } from 'yaml';
import { references, walgMap, walgNotes } from '../core/render/kubernetes/walg.ts';
import { quoted } from '../core/shell.ts';

export type SettingsFormat = 'env' | 'yaml' | 'configmap';

type Values = Readonly<Record<string, string>>;

const yaml = (value: unknown): string => stringify(value, { lineWidth: 0 }).trimEnd();

const env = (plain: Values, secret: Values): string =>
  [
    ...Object.entries(plain).map(([name, value]) => `${name}=${quoted(value)}`),
    ...Object.entries(references(secret)).map(([name, value]) => `${name}="${value}"`),
  ].join('\n');

const configMap = (plain: Values, secret: Values, name: string): string =>
  [yaml(walgMap(plain, name)), ...walgNotes(secret, name).map(line => `# ${line}`)].join('\n');

/**
 * Settings of another program as text.
 * @param format `env` = lines for a shell or an env file, `yaml` = a file for its `--config`, `configmap` = for Kubernetes, without any secret
 * @param name of the ConfigMap and of the Secret beside it
 */
export function printed({ plain, secret }: { plain: Values; secret: Values }, format: SettingsFormat, name: string): string {
  if (format === 'env') return env(plain, secret);
  return format === 'yaml' ? yaml({ ...plain, ...references(secret) }) : configMap(plain, secret, name);
}
