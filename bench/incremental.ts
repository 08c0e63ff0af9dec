// Incremental base backups of a database of which one row in a hundred changes between two: bkp (PostgreSQL 18, pg_basebackup --incremental)
// and pgBackRest (whose packaged version knows servers up to 15, so it has one of 15 with the same rows), each against its own full backup and
// one against the other; then the restore of the whole chain, which ends when a server on it has left recovery.
import { cleanUp, type Postgres, type PostgresVersion, startPostgres, tempDir } from '../test/real/rig/index.ts';
import { median, round } from './measure.ts';
import type { Metered } from './metered.ts';
import { peers } from './peers.ts';
import { bkp } from './postgres/bkp.ts';
import { backedUp, restored } from './postgres/measured.ts';
import { pgbackrest } from './postgres/pgbackrest.ts';
import type { Bench, Tool } from './postgres/tool.ts';

const INCREMENTS = 3;
const ROWS = 100_000;

/** A kilobyte of random hexadecimal digits: four bits of eight. */
const NOISE = `create function noise(n int) returns text volatile language sql as
  $$ select string_agg(md5(random()::text || n || i), '') from generate_series(1, 32) i $$`;

const FILL = [
  NOISE,
  `create table half as select n, noise(n) as text from generate_series(1, ${ROWS}) n`,
  'vacuum (freeze, analyze) half',
  'checkpoint',
];

/** One row in a hundred, all in one place, as in a table that grows or has a hot end; and a few all over it. */
const change = (n: number): string[] => [
  `update half set text = noise(n) where n between ${n * 10_000} and ${n * 10_000 + ROWS / 100}`,
  `update half set text = noise(n) where n % 30000 = ${n}`,
  'checkpoint',
];

interface Side {
  version: PostgresVersion;
  server: Postgres;
  tool: Tool;
  full: Metered;
  fullBytes: number;
  increments: Metered[];
  bytes: number[];
}

async function side(
  version: PostgresVersion,
  settings: Record<string, string>,
  make: (bench: Bench) => Promise<Tool> | Tool,
): Promise<Side> {
  const server = await startPostgres({
    version,
    settings: { max_wal_size: '4GB', archive_mode: 'on', archive_command: 'true', autovacuum: 'off', ...settings },
  });
  for (const text of FILL) await server.sql(text);
  const tool = await make({ server, dir: tempDir({ forServer: true }) });
  if (tool.archive) server.configure({ archive_command: tool.archive });
  await server.sql('select pg_reload_conf()');
  tool.prepare?.();
  console.log(`${tool.name}: PostgreSQL ${version}, ${tool.how}`);
  const full = backedUp(server, tool);
  return { version, server, tool, full, fullBytes: tool.bytes(), increments: [], bytes: [] };
}

const sides = [
  await side('18', { summarize_wal: 'on' }, bench => bkp(bench, true)),
  await side('15', {}, bench => pgbackrest(bench, peers().pgbackrest)),
];
for (let n = 1; n <= INCREMENTS; n += 1)
  for (const { server, tool, increments, bytes } of sides) {
    for (const text of change(n)) await server.sql(text);
    increments.push(backedUp(server, { ...tool, backup: tool.increment! }));
    bytes.push(tool.bytes());
  }
const figures = [];
for (const { tool, version, full, fullBytes, increments, bytes } of sides) {
  const restore = await restored(tool, ROWS, version);
  const increment = median(increments.map(({ wall }) => wall));
  figures.push({
    name: tool.name,
    full_s: round(full.wall),
    increment_s: round(increment),
    increment_cpu_s: round(median(increments.map(({ cpu }) => cpu))),
    restore_s: round(restore.wall),
    full_bytes: fullBytes,
    increment_bytes: median(bytes),
    time_of_full: round(increment / full.wall),
    bytes_of_full: round(median(bytes) / fullBytes),
  });
}
await cleanUp();

for (const each of figures)
  console.log(
    `${each.name.padEnd(10)} full ${each.full_s} s, ${round(each.full_bytes / 1e6)} MB; increment ${each.increment_s} s (${each.increment_cpu_s} s cpu), ${round(each.increment_bytes / 1e6)} MB: ${each.time_of_full} of the time and ${each.bytes_of_full} of the bytes; restore of the chain of ${INCREMENTS + 1} ${each.restore_s} s`,
  );
const [ours, theirs] = figures;
console.log(
  JSON.stringify({
    bench: 'incremental',
    increments: INCREMENTS,
    medians: figures,
    ratio_time_of_full: ours!.time_of_full,
    ratio_bytes_of_full: ours!.bytes_of_full,
    ratio_increment: round(ours!.increment_s / theirs!.increment_s),
    ratio_bytes: round(ours!.increment_bytes / theirs!.increment_bytes),
    ratio_restore: round(ours!.restore_s / theirs!.restore_s),
  }),
);
