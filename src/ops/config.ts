import { stringify } from 'yaml';
import { type Config, missingSecrets, parseConfig, type Registry, refuseExpanded, type SecretSource } from '../core/config/index.ts';
import { BkpError } from '../core/errors.ts';

/** As text of a bkp.yaml, without its last newline. */
export const asYaml = (value: unknown): string => stringify(value, { lineWidth: 0 }).trimEnd();

/** The config, when it has no fault and nothing is missing. Throws BkpError('usage') with a line for each fault. */
export function checkConfig(text: string, file: string, registry: Registry, source: SecretSource): Config {
  const config = parseConfig(text, file, registry);
  refuseExpanded(config, text, source);
  const { file: _file, environments, ...rest } = config;
  const inFile = Object.entries(environments).map(([name, { targets, ...env }]) => [name, { ...env, ...targets }]);
  const missing = missingSecrets({ ...rest, environments: Object.fromEntries(inFile) }, source);
  if (!missing.length) return config;
  throw new BkpError('usage', missing.map(line => `${file}: ${line}`).join('\n'), {
    next: 'A host needs only the secrets of what it does: keys.identity for restores, keys.signing for backups',
  });
}
