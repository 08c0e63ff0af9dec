import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { runBkp } from './bkp.ts';
import { tempDir } from './temp.ts';

type Entries = Record<string, Record<string, unknown>>;

const KINDS = ['postgres', 'redis', 'etcd', 'samba', 'volumes'] as const;

/** By kind: name → entry, e.g. `postgres: { app: server.entry({ spool }) }`. */
export interface ConfigParts extends Partial<Record<(typeof KINDS)[number], Entries>> {
  /** Store name → path of a directory store (made if need be), or a whole store entry. */
  stores: Record<string, string | Record<string, unknown>>;
  /** Name of the environment; `production` unless set. */
  env?: string;
  /** Beside the stores and entries of the environment, e.g. `{ protected: true }`. */
  environment?: Record<string, unknown>;
  /** Beside `environments`, e.g. `{ timezone: 'Europe/Berlin' }`. */
  top?: Record<string, unknown>;
  /** The keys of another written config; fresh ones unless set. */
  keys?: Record<string, unknown>;
  /** Directory for bkp.yaml and the keys; a temporary one unless set. */
  dir?: string;
}

export interface WrittenConfig {
  keys: Record<string, unknown>;
  /** Path of bkp.yaml. */
  path: string;
  dir: string;
  keysDir: string;
  identityFile: string;
}

function store(entry: string | Record<string, unknown>): Record<string, unknown> {
  if (typeof entry !== 'string') return entry;
  mkdirSync(entry, { recursive: true });
  return { type: 'directory', path: entry };
}

/** Makes keys by `bkp keygen` and returns the `keys` block that it prints. */
export async function makeKeys(dir: string): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await runBkp(['keygen', '--dir', dir]);
  const block = /^keys:.*\n(?:[ \t]+.*\n?)*/m.exec(stdout)?.[0];
  if (code !== 0 || !block) throw new Error(`bkp keygen --dir ${dir} ended with ${code} and printed no keys block: ${stderr}${stdout}`);
  return parse(block).keys;
}

/** Writes a bkp.yaml with fresh keys, and makes the directories of the stores given by path. */
export async function makeConfig(parts: ConfigParts): Promise<WrittenConfig> {
  const dir = parts.dir ?? tempDir();
  const keysDir = join(dir, 'keys');
  const keys = parts.keys ?? (await makeKeys(keysDir));
  const stores = Object.fromEntries(Object.entries(parts.stores).map(([name, entry]) => [name, store(entry)]));
  const path = join(dir, 'bkp.yaml');
  const kinds = Object.fromEntries(KINDS.flatMap(kind => (parts[kind] ? [[kind, parts[kind]]] : [])));
  const environments = { [parts.env ?? 'production']: { ...parts.environment, stores, ...kinds } };
  writeFileSync(path, stringify({ keys, ...parts.top, environments }, { lineWidth: 0 }));
  return { keys, path, dir, keysDir, identityFile: join(keysDir, 'identity.txt') };
}
