import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Site } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { type Context, called } from '../config.ts';
import { allowedMs, keep } from '../take.ts';
import { refuseFull } from '../trial.ts';
import { statePath } from './datastore.ts';

/** Node calls the module experimental at its first use, on stderr, which is no news to whoever backs up. */
async function module(): Promise<typeof import('node:sqlite')> {
  const emit = process.emitWarning;
  process.emitWarning = () => {};
  try {
    return await import('node:sqlite');
  } finally {
    process.emitWarning = emit;
  }
}

/** What the datastore says of itself. */
export interface StateFacts {
  /** The newest revision, and keys that exist. */
  revision: number;
  keys: number;
}

/** Reads what kine, K3s's layer over SQLite, keeps: a row per change, the newest of each name counts. */
function factsOf(db: DatabaseSync): StateFacts {
  const sql = `select coalesce(max(id), 0) as revision,
    (select count(*) from (select max(id) as id from kine group by name) newest join kine on kine.id = newest.id where deleted = 0) as keys
    from kine`;
  const { revision, keys } = db.prepare(sql).get() as unknown as StateFacts;
  return { revision, keys };
}

/**
 * Opens a copy, has SQLite look at every page and index, and reads what it holds.
 * @param work what else is to be done with it
 * @throws BkpError('verifyFailed') for a copy that is damaged, or none of K3s
 */
export async function checkState(ctx: Context, path: string, work: (db: DatabaseSync) => void = () => {}): Promise<StateFacts> {
  const { DatabaseSync } = await module();
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path);
    const found = db
      .prepare('pragma integrity_check')
      .all()
      .map(row => String(Object.values(row)[0]));
    if (found[0] !== 'ok') throw new Error(found.slice(0, 3).join('; '));
    const facts = factsOf(db);
    work(db);
    return facts;
  } catch (error) {
    throw new BkpError('verifyFailed', `${called(ctx)}: the copy of state.db is no whole datastore of K3s: ${sentence(error)}`, {
      cause: error,
    });
  } finally {
    db?.close();
  }
}

/**
 * Keys of a copy that begin with a prefix and exist.
 * @throws BkpError('verifyFailed') for a copy that is damaged, or none of K3s
 */
export async function countPrefix(ctx: Context, path: string, prefix: string): Promise<number> {
  const sql = `select count(*) as keys from (select max(id) as id from kine where substr(name, 1, length(?1)) = ?1 group by name) newest
    join kine on kine.id = newest.id where deleted = 0`;
  let keys = 0;
  await checkState(ctx, path, db => {
    keys = Number(db.prepare(sql).get(prefix)!['keys']);
  });
  return keys;
}

/** SQLite's own online backup: pages are copied while K3s writes. `backup` is there from Node 22.16 on; `VACUUM INTO` is always. */
async function copyHere(from: string, to: string): Promise<void> {
  const { backup, DatabaseSync } = await module();
  const db = new DatabaseSync(from, { readOnly: true });
  try {
    if (backup) await backup(db, to, { rate: 1000 });
    else db.prepare('vacuum into ?').run(to);
  } finally {
    db.close();
  }
}

async function copyThere(ctx: Context, site: Site, to: string): Promise<void> {
  const sqlite3 = await site.which('sqlite3', ctx.config.bin);
  if (!sqlite3) throw new BkpError('failed', `sqlite3 is not on PATH of ${site.name}`, { next: 'apt-get install sqlite3   # there' });
  const there = join(await site.dir(), 'state.db');
  const { stdout } = await site.text({ file: 'wc', args: ['-c', statePath(ctx)] });
  await site.text(
    { file: sqlite3, args: ['-readonly', '-bail', statePath(ctx), `.backup '${there}'`] },
    { timeoutMs: allowedMs(ctx, Number.parseInt(stdout, 10)) },
  );
  await keep(ctx, to, site.read(there));
}

/**
 * A consistent copy of the SQLite datastore on this host, looked through.
 * @throws BkpError('failed' | 'refused' | 'verifyFailed')
 */
export async function copyState(ctx: Context, site: Site): Promise<{ file: string; bytes: number; facts: StateFacts; at: Date }> {
  const dir = await ctx.scratch();
  const file = join(dir, 'state.db');
  const at = ctx.clock.now();
  try {
    if (site.local) {
      await refuseFull(ctx, dir, (await stat(statePath(ctx))).size, 'a copy of state.db');
      await copyHere(statePath(ctx), file);
    } else await copyThere(ctx, site, file);
  } catch (error) {
    if (error instanceof BkpError) throw error;
    throw new BkpError('failed', `${called(ctx)}: ${statePath(ctx)} could not be copied: ${sentence(error)}`, {
      next: 'run bkp as root; where the disk is full, `temp:` in the config names another one',
      cause: error,
    });
  }
  const facts = await checkState(ctx, file);
  return { file, bytes: (await stat(file)).size, facts, at };
}
