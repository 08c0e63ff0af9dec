import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { extname, join } from 'node:path';
import { parse } from 'yaml';
import { log } from './log.ts';

/** Settings by their names in upper case. */
export interface Settings {
  get(name: string): string | undefined;
  number(name: string, fallback: number): number;
  on(name: string): boolean;
  /** PG* of all sources, for the children that speak libpq. */
  libpq(): Record<string, string>;
}

/** WAL-G's defaults (internal/config/config.go), as far as they matter here. */
const DEFAULTS: Readonly<Record<string, string>> = {
  WALG_COMPRESSION_METHOD: 'lz4',
  WALG_DELTA_MAX_STEPS: '0',
  WALG_DOWNLOAD_CONCURRENCY: '10',
  WALG_UPLOAD_CONCURRENCY: '16',
  WALG_DOWNLOAD_FILE_RETRIES: '15',
  WALG_TAR_SIZE_THRESHOLD: '1073741823',
  WALG_INTEGRITY_MAX_DELAYED_WALS: '0',
  WALG_PG_WAL_SIZE: '16',
  WALG_SLOTNAME: 'walg',
};

const KNOWN = /^(WALG_|WALE_|AWS_|S3_|PG|GOMAXPROCS|TOTAL_BG_UPLOADED_LIMIT)/;

const READABLE = new Set(['.json', '.yaml', '.yml']);

/** WAL-G's library also reads TOML and others; a file that it cannot read is a warning, and the run goes on without it. */
function readFile(path: string): Map<string, string> {
  try {
    if (!READABLE.has(extname(path))) throw new Error(`Unsupported Config Type "${extname(path).slice(1)}"`);
    const entries = Object.entries((parse(readFileSync(path, 'utf8')) ?? {}) as Record<string, unknown>);
    return new Map(entries.map(([name, value]) => [name.toUpperCase(), String(value)]));
  } catch (error) {
    log.warning(`Failed to parse config file ${path}. ${(error as Error).message}.`);
    return new Map();
  }
}

function warnOfStrangers(file: Map<string, string>): void {
  const strangers = [...file.keys()].filter(name => !KNOWN.test(name));
  for (const name of strangers) log.warning(`${name} is unknown`);
}

const homeFile = (): string | undefined => ['.json', '.yaml', '.yml'].map(end => join(homedir(), `.walg${end}`)).find(existsSync);

function settingsOf(sources: readonly ReadonlyMap<string, string>[]): Settings {
  const get = (name: string): string | undefined => sources.find(source => source.get(name))?.get(name) ?? DEFAULTS[name];
  const pg = () => new Set(sources.flatMap(source => [...source.keys()].filter(name => /^PG[A-Z]+$/.test(name))));
  return {
    get,
    number: (name, fallback) => Number(get(name) ?? fallback),
    on: name => /^(1|t|true)$/i.test(get(name) ?? ''),
    libpq: () => Object.fromEntries([...pg()].map(name => [name, get(name) ?? ''])),
  };
}

/**
 * Settings of a run: flags, then the environment, then the file (`--config`, WALG_CONFIG_PATH or ~/.walg), then defaults. So the
 * environment beats the file. Empty values count as unset.
 */
export function readSettings(flags: ReadonlyMap<string, string>, config: string | undefined): Settings {
  const path = config || process.env['WALG_CONFIG_PATH'] || homeFile();
  const file = path ? readFile(path) : new Map<string, string>();
  warnOfStrangers(file);
  const environment = new Map(Object.entries(process.env).map(([name, value]) => [name, value ?? '']));
  return settingsOf([flags, environment, file]);
}

/** Settings for one side of `copy`: the file's and the defaults; the environment counts for nothing. */
export function settingsFromFile(path: string): Settings {
  const file = readFile(path);
  warnOfStrangers(file);
  return settingsOf([file]);
}
