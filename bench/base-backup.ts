// A 700 MB database: `bkp backup postgres` (compressed, encrypted, hashed) against pg_basebackup to a plain directory, and the restore
// against a copy of that directory and the start of a server on it.
import { join } from 'node:path';
import { cleanUp, makeConfig, type Postgres, pause, removeTemp, run, runBkp, startPostgres, tempDir } from '../test/real/rig/index.ts';
import { median, round } from './measure.ts';

const ROUNDS = 3;
const SCALE = 47;
const timeOf = async (work: () => Promise<unknown>): Promise<number> => {
  const from = performance.now();
  await work();
  return performance.now() - from;
};

const server = await startPostgres({ version: '18', settings: { max_wal_size: '4GB' } });
await run(server.tool('pgbench'), ['-i', '-q', '-s', String(SCALE), 'postgres'], { env: server.superEnv });
await server.sql('checkpoint');
const bytes = Number(await server.sql('select sum(pg_database_size(oid)) from pg_database'));
const dir = tempDir();
const config = await makeConfig({
  dir,
  stores: { local: join(dir, 'store') },
  postgres: { app: server.entry({ spool: join(dir, 'spool') }) },
});
const options = { config: config.path, env: server.bkpEnv };

async function bkp(...args: string[]): Promise<void> {
  const { code, stderr } = await runBkp(args, options);
  if (code !== 0) throw new Error(`bkp ${args.join(' ')} ended with ${code}: ${stderr}`);
}

const plain = (into: string) =>
  server.asServer(server.tool('pg_basebackup'), [
    '-h',
    server.socketDir,
    '-p',
    String(server.port),
    '-U',
    'postgres',
    '-Fp',
    '-D',
    into,
    '-c',
    'fast',
  ]);

const serve = async (at: string): Promise<Postgres> => startPostgres({ version: '18', dir: at });

const times = { plain: [] as number[], bkp: [] as number[], copy: [] as number[], restore: [] as number[] };
for (let n = 0; n < ROUNDS; n += 1) {
  const scratch = tempDir({ forServer: true });
  const at = { plain: join(scratch, 'plain'), copy: join(scratch, 'copy'), restored: join(scratch, 'restored') };
  times.plain.push(await timeOf(() => plain(at.plain)));
  times.bkp.push(await timeOf(() => bkp('backup', 'postgres')));
  let started: Postgres | undefined;
  const copied = async () => {
    await server.asServer('cp', ['-a', at.plain, at.copy]);
    started = await serve(at.copy);
  };
  times.copy.push(await timeOf(copied));
  await started?.destroy();
  const restored = async () => {
    await bkp('restore', 'postgres', '--from-backup', 'latest', '--to', at.restored, '--yes');
    started = await serve(at.restored);
  };
  times.restore.push(await timeOf(restored));
  await started?.destroy();
  removeTemp(scratch);
  await pause(200);
}
await cleanUp();

const [basebackup, backup, copy, restore] = [median(times.plain), median(times.bkp), median(times.copy), median(times.restore)];
console.log(
  `${round(bytes / 1e6)} MB, medians of ${ROUNDS} rounds: pg_basebackup ${round(basebackup)} ms, bkp backup ${round(backup)} ms,`,
);
console.log(`cp and start ${round(copy)} ms, bkp restore and start ${round(restore)} ms`);
console.log(
  JSON.stringify({
    bench: 'base-backup',
    rounds: ROUNDS,
    bytes,
    pg_basebackup_ms: round(basebackup),
    backup_ms: round(backup),
    copy_start_ms: round(copy),
    restore_start_ms: round(restore),
    ratio: round(backup / basebackup),
    ratio_restore: round(restore / copy),
  }),
);
