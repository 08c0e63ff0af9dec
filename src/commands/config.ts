import { Command } from 'commander';
import { stringify } from 'yaml';
import { configJsonSchema, parseConfig, type Registry, type SecretSource } from '../core/config/index.ts';
import { checkConfig, shownConfig } from '../ops/config.ts';

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
  const { file, text } = await load();
  checkConfig(text, file, registry, source);
  out(json() ? JSON.stringify({ type: 'result', ok: true, file }) : `${file}: ok`);
}

async function show({ load, registry, json, out }: ConfigDeps): Promise<void> {
  const { file, text } = await load();
  const config = shownConfig(parseConfig(text, file, registry));
  out(json() ? JSON.stringify({ type: 'result', file, config }) : stringify(config, { lineWidth: 0 }).trimEnd());
}

/** `bkp config check | show | schema`. Faults leave as BkpError('usage'). */
export function configCommand(deps: ConfigDeps): Command {
  const command = new Command('config').description('check the config, show it whole, or print its JSON Schema');
  command
    .command('check')
    .description('every fault at once, missing variables and files too')
    .action(() => check(deps));
  command
    .command('show')
    .description('the whole config with defaults filled in; secrets are not shown')
    .action(() => show(deps));
  command
    .command('schema')
    .description('JSON Schema of bkp.yaml, for editors')
    .action(() => deps.out(JSON.stringify(configJsonSchema(deps.registry), null, deps.json() ? 0 : 2)));
  return command;
}
