// What is lost when server, receiver and bkp are killed at once and the server's disk is gone: `npm run bench -- rpo [--runs=20] [--only=1s,250ms,sync,idle]`.
import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import {
  childrenOf,
  cleanUp,
  isAlive,
  makeConfig,
  type Postgres,
  pause,
  runBkp,
  startBkp,
  startPostgres,
  stopBkp,
  tempDir,
  waitFor,
} from '../test/real/rig/index.ts';
import { streamTo } from '../test/real/setup.ts';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '20' }, only: { type: 'string' } } });
const runs = Number(values.runs);
const only = values.only?.split(',');
const VERSIONS = ['15', '18'] as const;

interface Mode {
  name: string;
  wal: Record<string, unknown>;
  settings: Record<string, string>;
}

const MODES: readonly Mode[] = [
  { name: '1s', wal: { flush: '1s' }, settings: {} },
  { name: '250ms', wal: { flush: '250ms' }, settings: {} },
  { name: 'sync', wal: { flush: '1s', synchronous: true }, settings: { synchronous_standby_names: 'bkp', synchronous_commit: 'local' } },
];

const objectsIn = (store: string): string[] =>
  readdirSync(store, { recursive: true, encoding: 'utf8' }).filter(path => /\.(zst|age)$/.test(path) && path.includes('/wal/'));

const heartbeatsIn = (store: string): string[] =>
  readdirSync(store, { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('/heartbeat.json'));

/** A server that has just started writes by itself, and what it wrote is joined after a minute. */
const SETTLED_MS = 90_000;
/** Two heartbeats long. */
const IDLE_MS = 60_000;

/** Rows that the server acknowledged, by id with the server's time in seconds. Ends with the server. */
function ledger(db: Postgres, sync: boolean): { acked: [number, number][]; ended: Promise<unknown> } {
  const acked: [number, number][] = [];
  const child = spawn(db.tool('psql'), ['-XqAt', '-d', 'postgres'], { env: db.superEnv, stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.on('error', () => {});
  if (sync) child.stdin.write('set synchronous_commit = on;\n');
  const one = (id: number) =>
    child.stdin.write(`insert into ledger values (${id}, clock_timestamp()) returning id || ' ' || extract(epoch from ts);\n`);
  createInterface({ input: child.stdout }).on('line', line => {
    const [id, ts] = line.split(' ').map(Number) as [number, number];
    acked.push([id, ts]);
    setTimeout(() => one(id + 1), 10);
  });
  one(1);
  return { acked, ended: new Promise(resolve => child.once('close', resolve)) };
}

/** Other work beside it: about 3 MB of WAL a second. */
function load(db: Postgres): Promise<unknown> {
  const statement = 'insert into heap select n, repeat(md5(n::text), 8) from generate_series(1, 2000) n; select pg_sleep(0.2);\n';
  const child = spawn(db.tool('psql'), ['-XqAt', '-d', 'postgres'], { env: db.superEnv, stdio: ['pipe', 'ignore', 'ignore'] });
  child.stdin.on('error', () => {});
  child.stdin.write(statement.repeat(400));
  return new Promise(resolve => child.once('close', resolve));
}

async function run(mode: Mode, n: number): Promise<{ lost: number; rows: number; puts: number; hours: number; restore: number }> {
  const version = VERSIONS[n % 2]!;
  const db = await startPostgres({ version, settings: mode.settings });
  const store = tempDir();
  const spool = join(tempDir(), 'spool');
  const { path } = await makeConfig({ stores: { local: store }, postgres: { app: db.entry({ spool, wal: mode.wal }) } });
  const at = { config: path, env: db.bkpEnv };
  await db.sql('create table ledger (id int, ts timestamptz); create table heap (n int, t text)');
  const stream = await streamTo({ run: at }, db);
  const backup = await runBkp(['backup', 'postgres'], at);
  if (backup.code !== 0) throw new Error(backup.stderr);
  const seen = new Set(objectsIn(store));
  const before = seen.size;
  const working = load(db);
  const { acked, ended } = ledger(db, mode.name === 'sync');
  const began = Date.now();
  const end = began + 4000 + Math.random() * 3000;
  while (Date.now() < end) {
    await pause(100);
    for (const object of objectsIn(store)) seen.add(object);
  }
  const hours = (Date.now() - began) / 3_600_000;
  const children = childrenOf(stream.pid);
  stream.kill('SIGKILL');
  for (const pid of children) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  await db.kill9();
  await Promise.all([stream.ended, ended, working]);
  db.loseDisk();
  if (mode.name === 'sync') {
    const drained = startBkp(['stream', 'postgres'], at);
    await waitFor(() => /could not|refused|trying again/.test(drained.output().stderr), 'the server to be missed');
    await stopBkp(drained, 'SIGTERM');
  }
  const to = join(tempDir({ forServer: true }), 'restored');
  const from = performance.now();
  const restored = await runBkp(['restore', 'postgres', '--latest', '--to', to, '--yes'], at);
  const restore = (performance.now() - from) / 1000;
  if (restored.code !== 0) throw new Error(restored.stderr);
  const copy = await startPostgres({ version, dir: to, settings: { synchronous_standby_names: '' } });
  const [id, ts, rows] = (await copy.sql('select coalesce(max(id), 0), coalesce(extract(epoch from max(ts)), 0), count(*) from ledger'))
    .split('|')
    .map(Number) as [number, number, number];
  await copy.destroy();
  await db.destroy();
  const last = acked.at(-1)!;
  if (id !== rows) throw new Error(`a hole: ${rows} rows up to ${id}`);
  return { lost: id >= last[0] ? 0 : last[1] - ts, rows, puts: seen.size - before, hours, restore };
}

/** What an idle database costs, by every object that comes or is written anew: two per heartbeat. */
async function idle(heartbeat: string): Promise<number> {
  const db = await startPostgres({ version: '18' });
  const store = tempDir();
  const { path } = await makeConfig({
    stores: { local: store },
    postgres: { app: db.entry({ spool: join(tempDir(), 'spool'), wal: { heartbeat } }) },
  });
  const stream = await streamTo({ run: { config: path, env: db.bkpEnv } }, db);
  await pause(SETTLED_MS);
  const seen = new Set<string>();
  const look = (): void => {
    for (const object of objectsIn(store).concat(heartbeatsIn(store))) {
      const stat = statSync(join(store, object), { throwIfNoEntry: false });
      if (stat) seen.add(`${object} ${stat.mtimeMs}`);
    }
  };
  look();
  const before = seen.size;
  const began = Date.now();
  for (let end = began + IDLE_MS; Date.now() < end; await pause(100)) look();
  const hours = (Date.now() - began) / 3_600_000;
  await stopBkp(stream, 'SIGTERM');
  await db.destroy();
  return Math.round((seen.size - before) / hours);
}

const at = (sorted: readonly number[], share: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]!;

try {
  const result: Record<string, number> = {};
  for (const mode of MODES.filter(({ name }) => !only || only.includes(name))) {
    const all = [];
    for (let n = 0; n < runs; n += 1) {
      const one = await run(mode, n);
      all.push(one);
      console.log(
        `${mode.name} ${n + 1}/${runs}: lost ${one.lost.toFixed(3)} s of ${one.rows} rows, restored in ${one.restore.toFixed(1)} s`,
      );
    }
    const lost = all.map(one => one.lost).sort((a, b) => a - b);
    result[`p50_${mode.name}`] = at(lost, 0.5);
    result[`p99_${mode.name}`] = at(lost, 0.99);
    result[`max_${mode.name}`] = lost.at(-1)!;
    const hours = all.reduce((sum, one) => sum + one.hours, 0);
    const puts = Math.round(all.reduce((sum, one) => sum + one.puts, 0) / hours);
    result[`puts_hour_busy_${mode.name}`] = puts;
    const [p50, p99, max] = [at(lost, 0.5), at(lost, 0.99), lost.at(-1)!].map(each => each.toFixed(2));
    console.log(`${mode.name}: seconds lost p50 ${p50}, p99 ${p99}, max ${max}; ${puts} puts an hour under load`);
  }
  if (!only || only.includes('idle')) {
    result['puts_hour_idle'] = await idle('30s');
    result['puts_hour_idle_off'] = await idle('off');
    console.log(`idle: ${result['puts_hour_idle']} puts an hour, ${result['puts_hour_idle_off']} without heartbeats`);
  }
  console.log(JSON.stringify({ bench: 'rpo', runs, ...result }));
} finally {
  await cleanUp();
}
