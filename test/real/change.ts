import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { tempDir } from './rig/index.ts';
import type { Setup } from './setup.ts';

/** A config as YAML gives it. */
export type Yaml = Record<string, any>;

/** Writes the config of a set-up anew, changed by `edit`, beside the old one; answers with what `runBkp` takes. */
export function changed(at: Setup, edit: (config: Yaml) => void, env: Record<string, string> = {}): Setup['run'] {
  const config = parse(readFileSync(at.run.config, 'utf8')) as Yaml;
  edit(config);
  const path = join(tempDir(), 'bkp.yaml');
  writeFileSync(path, stringify(config, { lineWidth: 0 }));
  return { config: path, env: { ...at.run.env, ...env } };
}

/** The entry `postgres.app` of the environment that the rig writes. */
export const entryOf = (config: Yaml): Yaml => config['environments'].production.postgres.app;

/** The last line of a `--json` run. */
export const lastJson = (stdout: string): Yaml => JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
