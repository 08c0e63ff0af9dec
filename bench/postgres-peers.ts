// Base backup and restore of 1 GiB that packs to about half, and the bytes stored: bkp against pgBackRest, Barman and, where there is one
// on PATH, WAL-G, each into a directory of its own. A restore ends when a server on it has left recovery.
import { systemRunner } from '../src/system/runner.ts';
import { cleanUp, startPostgres, tempDir } from '../test/real/rig/index.ts';
import { median, round } from './measure.ts';
import type { Metered } from './metered.ts';
import { peers } from './peers.ts';
import { barman } from './postgres/barman.ts';
import { bkp } from './postgres/bkp.ts';
import { backedUp, restored } from './postgres/measured.ts';
import { pgbackrest } from './postgres/pgbackrest.ts';
import type { Bench, Tool } from './postgres/tool.ts';
import { walg } from './postgres/walg.ts';

const ROUNDS = 3;
const ROWS = 900_000;

/** Rows of random hexadecimal digits: four bits of eight. */
const FILL = `create extension pgcrypto; create table half as
  select n, encode(gen_random_bytes(512), 'hex') as text from generate_series(1, ${ROWS}) n; vacuum (freeze, analyze) half; checkpoint`;

const server = await startPostgres({
  version: '15',
  settings: { max_wal_size: '4GB', archive_mode: 'on', archive_command: 'true', autovacuum: 'off' },
});
for (const text of FILL.split('; ')) await server.sql(text);
const bytes = Number(await server.sql('select sum(pg_database_size(oid)) from pg_database'));

const place = (): Bench => ({ server, dir: tempDir({ forServer: true }) });
const programs = peers();
const wal_g = systemRunner.which('wal-g');
const tools: Tool[] = [
  await bkp(place()),
  pgbackrest(place(), programs.pgbackrest),
  barman(place(), programs.barman),
  ...(wal_g ? [walg(place(), wal_g)] : []),
];
server.configure({ archive_command: tools.flatMap(({ archive }) => archive ?? []).join(' && ') });
await server.sql('select pg_reload_conf()');
for (const tool of tools) tool.prepare?.();
for (const { name, how } of tools) console.log(`${name}: ${how}`);
if (!wal_g) console.log('WAL-G: there is no wal-g on PATH');

interface Times {
  backup: Metered[];
  restore: Metered[];
  bytes: number[];
}

const times = new Map<string, Times>(tools.map(({ name }) => [name, { backup: [], restore: [], bytes: [] }]));
for (let n = 0; n < ROUNDS; n += 1) {
  for (const tool of tools) {
    const its = times.get(tool.name)!;
    its.backup.push(backedUp(server, tool));
    its.bytes.push(tool.bytes());
    its.restore.push(await restored(tool, ROWS));
  }
}
await cleanUp();

const middle = (runs: readonly Metered[], field: keyof Metered): number => round(median(runs.map(run => run[field])));
const figures = Object.fromEntries(
  [...times].map(([name, { backup, restore, bytes: stored }]) => [
    name,
    {
      backup_s: middle(backup, 'wall'),
      backup_cpu_s: middle(backup, 'cpu'),
      restore_s: middle(restore, 'wall'),
      restore_cpu_s: middle(restore, 'cpu'),
      bytes: median(stored),
    },
  ]),
);
type Figures = (typeof figures)[string];
const ratio = (field: keyof Figures): number => {
  const { bkp: ours, ...others } = figures;
  return round(ours![field] / Math.min(...Object.values(others).map(each => each[field])));
};
for (const [name, { backup_s, backup_cpu_s, restore_s, restore_cpu_s, bytes: stored }] of Object.entries(figures))
  console.log(
    `${name.padEnd(10)} backup ${backup_s} s (${backup_cpu_s} s cpu), restore and start ${restore_s} s (${restore_cpu_s} s cpu), ${round(stored / 1e6)} MB`,
  );
console.log(
  JSON.stringify({
    bench: 'postgres-peers',
    rounds: ROUNDS,
    bytes,
    medians: figures,
    ratio_backup: ratio('backup_s'),
    ratio_restore: ratio('restore_s'),
    ratio_bytes: ratio('bytes'),
  }),
);
