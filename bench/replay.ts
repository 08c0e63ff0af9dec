// Replay from a store that answers late, by `bkp restore` and by `bkp wal fetch`, with and without reading ahead: `npm run bench -- replay [--segments=100] [--latencies=0,50,200]`.
import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  bkpCommand,
  cleanUp,
  makeConfig,
  type Postgres,
  pause,
  removeTemp,
  runBkp,
  serverAccount,
  startBkp,
  startPostgres,
  startVersity,
  stopBkp,
  tempDir,
} from '../test/real/rig/index.ts';
import { relay, startProxy } from '../test/real/rig/proxy.ts';
import { streamTo } from '../test/real/setup.ts';
import { median, round } from './measure.ts';

const { values } = parseArgs({
  options: { segments: { type: 'string', default: '100' }, latencies: { type: 'string', default: '0,50,200' } },
});
const count = Number(values.segments);
const ROUNDS = 3;
const AHEAD = 8;
const LATENCIES = values.latencies.split(',').map(Number);
let latency = 0;

const behind = await startVersity();
const bucket = await behind.bucket();
const proxy = await startProxy(behind, async exchange => {
  if (latency > 0) await pause(latency);
  relay(exchange, await exchange.forward());
});
const storeAt = (endpoint: string): Record<string, unknown> => {
  const { region, accessKey, secretKey } = behind;
  return { type: 's3', endpoint, region, bucket, accessKey, secretKey, pathStyle: true };
};

/** Everything below a directory goes to the server's account, which runs restore_command. */
function give(dir: string): void {
  const account = serverAccount();
  for (const name of ['.', ...readdirSync(dir, { recursive: true, encoding: 'utf8' })])
    if (account) chownSync(join(dir, name), account.uid, account.gid);
}

async function primary(): Promise<Postgres> {
  const db = await startPostgres({ version: '15', settings: { wal_keep_size: '8GB', max_wal_size: '8GB', checkpoint_timeout: '1h' } });
  await db.sql('create table heap (n int, t text); create index on heap (n)');
  return db;
}

/** `count` segments with some work in each, archived and beside as plain files. */
async function archived(db: Postgres): Promise<{ base: string; wal: string; keys: Record<string, unknown> }> {
  const { path, keys } = await makeConfig({
    stores: { s3: storeAt(behind.endpoint) },
    postgres: { app: db.entry({ spool: join(tempDir(), 'spool') }) },
  });
  const at = { config: path, env: db.bkpEnv };
  const stream = await streamTo({ run: at }, db);
  const backup = await runBkp(['backup', 'postgres'], at);
  if (backup.code !== 0) throw new Error(backup.stderr);
  const base = join(tempDir({ forServer: true }), 'base');
  const from = ['-h', db.socketDir, '-p', String(db.port), '-U', db.superuser];
  await db.asServer(db.tool('pg_basebackup'), ['-D', base, '-X', 'none', '--checkpoint=fast', ...from]);
  for (let n = 0; n < count; n += 1)
    await db.sql('insert into heap select n, repeat(md5(n::text), 4) from generate_series(1, 30000) n; select pg_switch_wal()');
  const last = await db.sql('select pg_walfile_name(pg_current_wal_lsn() - 1)');
  while (!stream.output().stderr.includes(`WAL ${last} is in`)) await pause(50);
  await stopBkp(stream, 'SIGTERM');
  await db.stop();
  const wal = tempDir({ forServer: true });
  for (const name of readdirSync(join(db.dataDir, 'pg_wal')).filter(each => /^[0-9A-F]{24}$/.test(each) && each <= last))
    cpSync(join(db.dataDir, 'pg_wal', name), join(wal, name));
  give(wal);
  return { base, wal, keys };
}

/**
 * Where the machine is a virtual one, memory that is free for some seconds goes back to its host, and takes ten times as long to write when it is
 * used again: whoever comes right after a gigabyte was given back would be twice as quick.
 */
const settled = () => pause(8000);

/** Seconds from the start of a copy to the end of its recovery. */
async function replayed(base: string, command: string): Promise<number> {
  const dir = join(tempDir({ forServer: true }), 'copy');
  cpSync(base, dir, { recursive: true });
  writeFileSync(join(dir, 'recovery.signal'), '');
  give(dir);
  chmodSync(dir, 0o700);
  const from = performance.now();
  // As bkp's private server has them on this machine.
  const settings = { restore_command: command, shared_buffers: '1GB', max_wal_size: '4GB' };
  const copy = await startPostgres({ version: '15', dir, settings });
  // With a slow store this takes longer than a test is patient.
  while ((await copy.sql('select pg_is_in_recovery()')) !== 'f') await pause(20);
  const seconds = (performance.now() - from) / 1000;
  const rows = Number(await copy.sql('select count(*) from heap'));
  if (rows !== count * 30000) throw new Error(`${rows} rows came back of ${count * 30000}`);
  await copy.destroy();
  return seconds;
}

/** The restore_command by bkp, with a config and keys that the server's account may read. */
async function fetching(db: Postgres, keys: Record<string, unknown>, prefetch: number): Promise<string> {
  const dir = tempDir({ forServer: true });
  const { path } = await makeConfig({
    stores: { s3: storeAt(proxy.endpoint) },
    postgres: { app: db.entry({ wal: { prefetch } }) },
    keys,
    dir,
  });
  mkdirSync(join(dir, 'cache'));
  give(dir);
  const [file, args] = bkpCommand(['--config', path, 'wal', 'fetch', 'app']);
  const env = `APP_PGPASSWORD=x XDG_CACHE_HOME=${dir}/cache TMPDIR=${dir}`;
  return `env ${env} ${[file, ...args].join(' ')} "%f" "%p" 2>>${dir}/errors`;
}

/** Seconds of the replay within `bkp restore`, as it says; and until the copy was looked at, stopped clean and on the disk. */
async function restored(db: Postgres, keys: Record<string, unknown>, prefetch: number): Promise<{ replay: number; whole: number }> {
  const { path } = await makeConfig({ stores: { s3: storeAt(proxy.endpoint) }, postgres: { app: db.entry({ wal: { prefetch } }) }, keys });
  const to = join(tempDir({ forServer: true }), 'restored');
  const run = startBkp(['restore', 'postgres', '--latest', '--to', to, '--yes', '--json'], { config: path, env: db.bkpEnv });
  const began = new Promise<number>(resolve => {
    run.process.stdout?.on('data', chunk => {
      if (String(chunk).includes('"what":"replay"')) resolve(performance.now());
    });
  });
  const { code, stdout, stderr } = await run.ended;
  if (code !== 0) throw new Error(stderr);
  const whole = (performance.now() - (await began)) / 1000;
  const { ms } = JSON.parse(stdout.split('\n').find(line => /"finished".*"what":"replay"/.test(line))!);
  removeTemp(join(to, '..'));
  return { replay: ms / 1000, whole };
}

/** Keys lie in a directory of whoever runs this: their files are read by the server's account here. */
function readable(keys: Record<string, unknown>): Record<string, unknown> {
  const dir = tempDir({ forServer: true });
  const text = JSON.stringify(keys).replaceAll(/\$\{file:([^}]+)\}/g, (_, file: string) => {
    const to = join(dir, file.split('/').at(-1)!);
    cpSync(file, to);
    return `\${file:${to}}`;
  });
  give(dir);
  return JSON.parse(text);
}

try {
  const db = await primary();
  const { base, wal, keys } = await archived(db);
  const shared = readable(keys);
  const byCp = () => replayed(base, `cp ${wal}/%f "%p"`);
  const result: Record<string, number> = {};
  const note = (name: string, seconds: number, local: number): void => {
    result[name] = round(seconds);
    result[`ratio_${name}`] = round(seconds / local);
    console.log(`${name.padEnd(24)} ${seconds.toFixed(1).padStart(6)} s, ${(seconds / local).toFixed(2)} times local`);
  };
  for (const ms of LATENCIES) {
    latency = ms;
    const rounds: { local: number; replay: number; whole: number }[] = [];
    for (let n = 0; n < ROUNDS; n += 1) {
      // Beside each round, since the machine is not as quick at every minute.
      await settled();
      const local = await byCp();
      await settled();
      rounds.push({ local, ...(await restored(db, keys, AHEAD)) });
    }
    const local = median(rounds.map(each => each.local));
    note(`local_${ms}ms`, local, local);
    note(`restore_ahead_${ms}ms`, median(rounds.map(each => each.replay)), local);
    note(`whole_ahead_${ms}ms`, median(rounds.map(each => each.whole)), local);
    note(`fetch_ahead_${ms}ms`, await replayed(base, await fetching(db, shared, AHEAD)), local);
    note(`restore_plain_${ms}ms`, (await restored(db, keys, 0)).replay, local);
    note(`fetch_plain_${ms}ms`, await replayed(base, await fetching(db, shared, 0)), local);
  }
  await db.destroy();
  console.log(JSON.stringify({ bench: 'replay', segments: count, ...result, ratio: result['ratio_restore_ahead_200ms'] }));
} finally {
  await proxy.stop();
  await behind.stop();
  await cleanUp();
}
