import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import type { Manifest } from '../../src/core/contracts.ts';
import { lastJson, type Yaml } from './change.ts';
import { type Postgres, runBkp, startPostgres } from './rig/index.ts';
import { aPlace, type Setup } from './setup.ts';

export const BASE = 'bkp/production/postgres/app';

/** A zone in which no month ends while the tests run, near midnight of UTC as elsewhere. */
export const ZONE = { timezone: new Date().getUTCHours() % 23 === 0 ? 'Asia/Kolkata' : 'UTC' };

export const INCREMENTS = { full: 'monthly', incremental: 'daily' };

export const folderOf = (at: Setup, id: string, store = 'local'): string => join(at.stores[store]!, BASE, 'backups', id);

export const manifestOf = (at: Setup, id: string, store = 'local'): Manifest =>
  JSON.parse(readFileSync(join(folderOf(at, id, store), 'manifest.json'), 'utf8').split('\n')[0]!);

/** Takes a backup. @returns what the run says of it, however it ended */
export async function take(at: Setup, ...args: string[]): Promise<Yaml> {
  const { code, stdout, stderr } = await runBkp(['backup', 'postgres', 'app', '--json', ...args], at.run);
  const row = lastJson(stdout)['backups']?.[0] as Yaml | undefined;
  if (!row?.['id']) throw new Error(`bkp backup ended with ${code}: ${stderr}${stdout}`);
  return row;
}

/** Restores into a place of its own and starts what is there. */
export async function restored(at: Setup, version: '15' | '18', ...args: string[]): Promise<Postgres> {
  const to = aPlace();
  const { code, stdout, stderr } = await runBkp(['restore', 'postgres', 'app', '--to', to, '--yes', ...args], at.run);
  expect({ code, said: code === 0 ? '' : stderr + stdout }).toEqual({ code: 0, said: '' });
  return startPostgres({ version, dir: to });
}
