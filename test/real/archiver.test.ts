import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { shellCommand } from '../../src/core/shell.ts';
import { cleanUp, makeConfig, node24, root, runBkp, serverAccount, startPostgres, tempDir, waitFor } from './rig/index.ts';

afterAll(cleanUp);

/** Everything below a directory becomes the server's: it runs the command. */
function give(dir: string): void {
  const account = serverAccount();
  if (!account) return;
  for (const path of ['', ...readdirSync(dir, { recursive: true, encoding: 'utf8' })]) chownSync(join(dir, path), account.uid, account.gid);
}

it('CF01: the server itself archives by `wal push`, from paths with spaces, quotes and percent signs', async () => {
  const home = join(tempDir({ forServer: true }), `it's "50%" of bkp $HOME`);
  mkdirSync(home);
  for (const part of ['bin', 'dist', 'package.json']) cpSync(join(root, part), join(home, part), { recursive: true });
  cpSync(node24(), join(home, 'node'));
  chmodSync(join(home, 'node'), 0o755);
  const db = await startPostgres({ version: '15', settings: { archive_mode: 'on' } });
  const config = await makeConfig({ dir: join(home, 'config dir'), stores: { local: join(home, 'store') }, postgres: { app: db.entry() } });
  give(home);
  const command = shellCommand([join(home, 'node'), join(home, 'bin/bkp.js'), '--config', config.path, 'wal', 'push', 'app', '%f', '%p']);
  await db.sql(`alter system set archive_command = '${command.replaceAll("'", "''")}'`);
  await db.sql('select pg_reload_conf()');
  expect((await runBkp(['backup', 'postgres'], { config: config.path, env: db.bkpEnv })).code).toBe(0);
  give(home);
  const name = await db.sql('create table t (n int); select pg_walfile_name(pg_current_wal_lsn())');
  await db.sql('select pg_switch_wal()');
  const archived = () => readdirSync(join(home, 'store'), { recursive: true, encoding: 'utf8' }).some(path => path.includes(`/${name}-`));
  await waitFor(archived, `${name} in the store; the server says: ${db.log().slice(-500)}`);
  const counted = async () => (await db.sql(`select last_archived_wal >= '${name}' from pg_stat_archiver`)) === 't';
  await waitFor(counted, 'the server to count it as archived');
});
