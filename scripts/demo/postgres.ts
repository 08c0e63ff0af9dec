// A real PostgreSQL: a table is dropped, then the server's disk is lost, and the data comes back as it was in the second before.
import { join } from 'node:path';
import chalk from 'chalk';
import { cleanUp, type Postgres, pause, startBkp, startPostgres, stopBkp, waitFor } from '../../test/real/rig/index.ts';
import { EVERY_MS, Load } from './load.ts';
import { bad, bkp, chapter, clockTime, fact, good, seconds, typed } from './show.ts';
import { makeWorld, untilStored, type World } from './world.ts';

interface Disaster {
  /** The whole second to go back to; the table was dropped one second later. */
  second: number;
  dropped: number;
  /** When the server and its disk were gone. */
  died: number;
}

async function theServer(): Promise<World> {
  chapter('A PostgreSQL with customers on it');
  const world = await makeWorld();
  fact('server', `PostgreSQL ${await world.server.sql('show server_version')} on 127.0.0.1:${world.server.port}`);
  fact('role', 'bkp: REPLICATION LOGIN, nothing more');
  fact('stores', 'local and offsite, two directories');
  fact('keys', `made by \`bkp keygen\`; config in ${world.config.path}`);
  return world;
}

async function theStream(world: World) {
  chapter('WAL goes to both stores while it is written');
  typed('bkp stream postgres &');
  const stream = startBkp(['stream', 'postgres'], world.options);
  const streaming = () => world.server.sql("select count(*) > 0 from pg_stat_replication where state = 'streaming'");
  const started = async () => stream.process.exitCode !== null || (await streaming()) === 't';
  await waitFor(started, '`bkp stream postgres` to stream');
  if (stream.process.exitCode !== null) throw new Error(`\`bkp stream postgres\` ended: ${stream.output().stderr}`);
  fact('stream', `running, pid ${stream.pid}`);
  const load = new Load(world.server);
  fact('load', `an order every ${EVERY_MS} ms, each counted when the server acknowledged it`);
  return { stream, load };
}

async function theBackup(world: World): Promise<void> {
  chapter('A base backup, read once, written to both stores');
  await bkp(['backup', 'postgres'], world.options);
  await bkp(['list'], world.options);
}

/** Sleeps to the next whole second that is at least `ms` away, and returns it. */
async function wholeSecond(ms: number): Promise<number> {
  const second = Math.ceil((Date.now() + ms) / 1000) * 1000;
  await pause(second - Date.now());
  return second;
}

async function theDisaster(world: World, load: Load): Promise<Disaster> {
  chapter('The bad night');
  const second = await wholeSecond(3000);
  await pause(second + 1000 - Date.now());
  await world.server.sql('drop table orders');
  const dropped = Date.now();
  const lsn = await world.server.sql('select pg_current_wal_lsn()');
  fact(clockTime(dropped), chalk.red('DROP TABLE orders;'));
  await untilStored(world, lsn);
  await pause(1000);
  await world.server.kill9();
  const died = Date.now();
  world.server.loseDisk();
  await load.stop();
  fact(clockTime(died), chalk.red('the server is killed and its data directory is gone'));
  fact('acknowledged', `${load.acknowledgedBy(died).length} orders and ${load.visits.size} visits`);
  return { second, dropped, died };
}

/** Starts what was restored and gives it to `look`; returns how long the start took (ms). */
async function started(dir: string, look: (server: Postgres) => Promise<void>): Promise<number> {
  const from = performance.now();
  const server = await startPostgres({ version: '18', dir });
  const took = performance.now() - from;
  await look(server);
  await server.destroy();
  return took;
}

const ids = async (server: Postgres, sql: string): Promise<Set<number>> => new Set((await server.rows(sql)).map(([id]) => Number(id)));

/** Compares the restored orders with what was acknowledged; returns whether all is as it must be. */
async function compare(server: Postgres, load: Load, second: number): Promise<boolean> {
  const back = await ids(server, 'select id from orders');
  const due = load.acknowledgedBy(second);
  const missing = due.filter(id => !back.has(id)).length;
  const tooNew = load.sentAfter(second).filter(id => back.has(id)).length;
  const wrong = Number(await server.sql('select count(*) from orders where amount <> id * 9.90'));
  const tell = missing + tooNew + wrong === 0 && due.length > 0 ? good : bad;
  tell('orders', `${due.length} acknowledged by then, ${back.size} came back: ${missing} missing, ${tooNew} too new, ${wrong} altered`);
  return tell === good;
}

async function theSecondBefore(world: World, load: Load, disaster: Disaster): Promise<{ matches: boolean; rto: number }> {
  chapter('Back to the second before');
  const time = new Date(disaster.second).toISOString().replace('.000Z', 'Z');
  const to = join(world.restores, 'second-before');
  const restore = await bkp(['restore', 'postgres', '--target-time', time, '--to', to, '--yes'], world.options);
  let matches = false;
  const start = await started(to, async server => {
    matches = await compare(server, load, disaster.second);
  });
  return { matches, rto: restore + start };
}

async function theNewest(world: World, load: Load, disaster: Disaster): Promise<number> {
  chapter('And how much would have been lost for good?');
  const to = join(world.restores, 'newest');
  await bkp(['restore', 'postgres', '--latest', '--to', to, '--yes'], world.options);
  let newest = 0;
  await started(to, async server => {
    newest = Number(await server.sql('select max(n) from visits'));
  });
  const lost = [...load.visits.keys()].filter(n => n > newest).length;
  fact('visits', `newest that came back: ${newest}; ${lost} acknowledged later are lost with the disk`);
  return disaster.died - (load.visits.get(newest) ?? 0);
}

function theEnd(figures: { matches: boolean; rto: number; rpo: number; took: number }): void {
  chapter('Measured');
  good('RTO', `${chalk.bold(seconds(figures.rto))}  from typing \`bkp restore\` to a server that answers`);
  good(
    'RPO',
    `${chalk.bold(seconds(figures.rpo))}  of commits, had server and disk been lost with nothing else wrong (segments close after 2 s here)`,
  );
  (figures.matches ? good : bad)('rows', figures.matches ? 'every acknowledged order is there' : 'NOT as acknowledged');
  fact('demo', `${seconds(figures.took)}; everything it started and wrote is removed`);
  console.log(`\n${chalk.bold('Next, for your own server')}`);
  typed('bkp keygen --dir /etc/bkp/keys');
  typed('bkp doctor postgres');
  typed('bkp backup postgres');
  typed('bkp restore postgres --latest --to /srv/restored --dry-run');
  console.log(`  ${chalk.dim('The ten-line config is in README.md, every setting in docs/how-to/configure.md.')}`);
}

/** Tells the story. @returns whether every row is as it must be */
export async function postgresStory(): Promise<boolean> {
  const from = performance.now();
  const world = await theServer();
  const { stream, load } = await theStream(world);
  await theBackup(world);
  const disaster = await theDisaster(world, load);
  await stopBkp(stream);
  const { matches, rto } = await theSecondBefore(world, load, disaster);
  const rpo = await theNewest(world, load, disaster);
  await cleanUp();
  theEnd({ matches, rto, rpo, took: performance.now() - from });
  return matches;
}
