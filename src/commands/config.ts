import { Command } from 'commander';
import type { Registry, SecretSource } from '../core/config/index.ts';
import { walgCommand } from './configWalg.ts';
import type { Run } from './session.ts';

/** What `bkp config` needs from the program. `load` finds and reads the file that --config and the environment name. */
export interface ConfigDeps {
  load(): { file: string; text: string } | Promise<{ file: string; text: string }>;
  registry: Registry;
  source: SecretSource;
  /** --json was given. */
  json(): boolean;
  /** Prints one line, or several joined by newlines. */
  out(line: string): void;
}

async function check({ load, registry, source, json, out }: ConfigDeps): Promise<void> {
  const [{ checkConfig }, { environmentLockGaps }] = await Promise.all([import('../ops/config.ts'), import('../core/lock.ts')]);
  const { file, text } = await load();
  const config = checkConfig(text, file, registry, source);
  const warnings = Object.values(config.environments).flatMap(environmentLockGaps);
  if (json()) out(JSON.stringify({ type: 'result', ok: true, file, warnings }));
  else for (const line of [...warnings.map(each => `warning: ${each}`), 'ok']) out(`${file}: ${line}`);
}

async function show({ load, registry, json, out }: ConfigDeps): Promise<void> {
  const { parseConfig, shownConfig } = await import('../core/config/index.ts');
  const { asYaml } = await import('../ops/config.ts');
  const { file, text } = await load();
  const config = shownConfig(parseConfig(text, file, registry));
  out(json() ? JSON.stringify({ type: 'result', file, config }) : asYaml(config));
}

async function schema({ registry, json, out }: ConfigDeps): Promise<void> {
  const { configJsonSchema } = await import('../core/config/index.ts');
  out(JSON.stringify(configJsonSchema(registry), null, json() ? 0 : 2));
}

/** `bkp config check | show | schema | walg`. Faults leave as BkpError('usage'). `deps` is asked for when one of them runs, not before. */
export function configCommand(deps: () => ConfigDeps | Promise<ConfigDeps>, run?: Run): Command {
  const command = new Command('config').description('check the config, show it whole, print its JSON Schema, or what WAL-G is told');
  command
    .command('check')
    .description('every fault at once, missing variables and files too')
    .action(async () => check(await deps()));
  command
    .command('show')
    .description('the whole config with defaults filled in; secrets are not shown')
    .action(async () => show(await deps()));
  command
    .command('schema')
    .description('JSON Schema of bkp.yaml, for editors')
    .action(async () => schema(await deps()));
  if (run) command.addCommand(walgCommand(run));
  return command;
}
