import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type BkpOptions, makeConfig, type Postgres, type Running, runBkp, startBkp, tempDir, waitFor } from './rig/index.ts';

/** A server with a config, keys and two directory stores. */
export interface Setup {
  run: Required<Pick<BkpOptions, 'config' | 'env'>>;
  stores: Record<string, string>;
  spool: string;
  dir: string;
  keysDir: string;
  keys: Record<string, unknown>;
  /** Names of the WAL files in a store, without hash and suffix, of every lineage. */
  walNames(store: string): string[];
}

/** Writes the config; `like` shares stores and keys with another one, as a second cluster of the same target would. */
export async function setUp(
  db: Postgres,
  options: { like?: Setup; entry?: Record<string, unknown>; top?: Record<string, unknown> } = {},
): Promise<Setup> {
  const stores = options.like?.stores ?? { local: tempDir(), offsite: tempDir() };
  const spool = join(tempDir(), 'spool');
  const entry = db.entry({ spool, ...options.entry });
  const config = await makeConfig({
    stores,
    postgres: { app: entry },
    ...(options.top ? { top: options.top } : {}),
    ...(options.like ? { keys: options.like.keys } : {}),
  });
  return {
    run: { config: config.path, env: db.bkpEnv },
    stores,
    spool,
    dir: config.dir,
    keysDir: options.like?.keysDir ?? config.keysDir,
    keys: config.keys,
    walNames: store =>
      readdirSync(join(stores[store]!), { recursive: true, encoding: 'utf8' })
        .map(path => /\/wal\/.*\/([^/-]+)-[0-9a-f]{32}\.zst/.exec(`/${path}`)?.[1])
        .filter(name => name !== undefined)
        .sort(),
  };
}

/** Takes a base backup and returns its id. */
export async function aBackup(at: Setup, args: readonly string[] = []): Promise<string> {
  const { code, stdout, stderr } = await runBkp(['backup', 'postgres', 'app', '--json', ...args], at.run);
  if (code !== 0) throw new Error(`bkp backup ended with ${code}: ${stderr}${stdout}`);
  const id = /\d{8}T\d{6}Z-[0-9a-f]{6}/.exec(stdout)?.[0];
  if (!id) throw new Error(`bkp backup named no id: ${stdout}`);
  return id;
}

/** Starts `bkp stream`, and waits until its receiver gets WAL of the server: a question to the server is for a moment a sender, too. */
export async function streamTo(at: Pick<Setup, 'run'>, db: Postgres, args: readonly string[] = []): Promise<Running> {
  const child = startBkp(['stream', 'postgres', ...args], at.run);
  await receiving(child, db);
  return child;
}

/** Waits until the server sends its WAL to a stream. */
export async function receiving(child: Running, db: Postgres): Promise<void> {
  const senders = "select count(*) from pg_stat_replication where application_name = 'bkp' and state = 'streaming'";
  await waitFor(async () => (await db.sql(senders)) === '1', 'the receiver').catch(error => {
    throw new Error(`${error.message}: ${child.output().stderr}`);
  });
}

/** A path that does not exist yet, in an empty directory that a server's account can enter. */
export const aPlace = (): string => join(tempDir({ forServer: true }), 'restored');
