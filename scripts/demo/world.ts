import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeConfig, type Postgres, startPostgres, tempDir, type WrittenConfig, waitFor } from '../../test/real/rig/index.ts';
import { TABLES } from './load.ts';

/** Everything of the demo: a server, two stores, a spool and a place for restores, all below temporary directories. */
export interface World {
  server: Postgres;
  config: WrittenConfig;
  stores: { local: string; offsite: string };
  restores: string;
  options: { config: string; env: Record<string, string> };
}

/** Starts PostgreSQL 18 with its tables and writes the config with fresh keys. Segments close after 2 s, so that the story is short. */
export async function makeWorld(): Promise<World> {
  const server = await startPostgres({ version: '18', settings: { archive_timeout: '2s', max_slot_wal_keep_size: '4GB' } });
  await server.sql(TABLES);
  const dir = tempDir();
  const stores = { local: join(dir, 'stores/local'), offsite: join(dir, 'stores/offsite') };
  const config = await makeConfig({ dir, stores, postgres: { app: server.entry({ spool: join(dir, 'spool') }) } });
  return { server, config, stores, restores: tempDir({ forServer: true }), options: { config: config.path, env: server.bkpEnv } };
}

/** True when some object of a directory store is named after this WAL segment. */
export const holds = (store: string, segment: string): boolean =>
  readdirSync(store, { recursive: true, encoding: 'utf8' }).some(path => path.split('/').pop()?.startsWith(segment));

/** Waits until both stores hold the WAL segment in which `lsn` lies. */
export async function untilStored(world: World, lsn: string): Promise<void> {
  const segment = await world.server.sql(`select pg_walfile_name('${lsn}')`);
  const all = Object.values(world.stores);
  await waitFor(() => all.every(store => holds(store, segment)), `WAL segment ${segment} in both stores`);
}
