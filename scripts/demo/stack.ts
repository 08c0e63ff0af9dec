// The whole stack is lost, and its first store with it; it comes back out of the second one, by one command.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import chalk from 'chalk';
import { entryOf } from '../../test/real/etcdSetup.ts';
import {
  cleanUp,
  type Etcd,
  makeConfig,
  type Postgres,
  pause,
  type Redis,
  startBkp,
  startEtcd,
  startPostgres,
  startRedis,
  stopBkp,
  tempDir,
  waitFor,
} from '../../test/real/rig/index.ts';
import { ADMIN_PASSWORD, type Domain, provision, toolOn } from '../../test/real/rig/samba.ts';
import { EVERY_MS, Load, TABLES } from './load.ts';
import { bad, bkp, chapter, clockTime, fact, good, seconds, typed } from './show.ts';
import { holds } from './world.ts';

interface Stack {
  db: Postgres;
  redis: Redis;
  etcd: Etcd;
  dc: Domain;
  files: string;
  stores: { local: string; offsite: string };
  root: string;
  options: { config: string; env: Record<string, string> };
}

const SESSIONS = 5000;
const THINGS = 25;
const FILES = 40;
const USERS = ['user-a', 'user-b', 'user-c'];

async function theStack(): Promise<Stack> {
  chapter('A platform: PostgreSQL, Redis, etcd, an Active Directory and files');
  const settings = { archive_timeout: '2s', max_slot_wal_keep_size: '4GB' };
  const [db, redis, etcd, dc] = await Promise.all([startPostgres({ version: '18', settings }), startRedis(), startEtcd(), provision()]);
  await db.sql(TABLES);
  await redis.cli('DEBUG', 'POPULATE', String(SESSIONS), 'session', '100');
  for (let n = 0; n < THINGS; n += 1) await etcd.ask('put', `/registry/deployments/${n}`, `replicas: ${n}`);
  for (const user of USERS) dc.tool('user', 'create', user, ADMIN_PASSWORD, '-H', dc.sam);
  await dc.start();
  const dir = tempDir();
  const files = join(tempDir(), 'uploads');
  mkdirSync(files);
  for (let n = 0; n < FILES; n += 1) writeFileSync(join(files, `upload-${n}`), `upload ${n}\n`.repeat(2000));
  const stores = { local: join(dir, 'stores/local'), offsite: join(dir, 'stores/offsite') };
  const config = await makeConfig({
    dir,
    stores,
    postgres: { app: db.entry({ spool: join(dir, 'spool') }) },
    redis: { sessions: redis.entry({}) },
    etcd: { main: entryOf(etcd) },
    volumes: { uploads: { engine: 'files', paths: [files] } },
    samba: { ad: { smbConf: dc.conf, dbcheck: false, fullDr: { options: { 'server-name': 'DC2', 'host-ip': '127.0.0.1' } } } },
  });
  fact(
    'servers',
    `PostgreSQL ${await db.sql('show server_version')}, Redis, etcd ${etcd.version}, Samba AD: all real, all on this machine`,
  );
  fact('stores', 'local and offsite, two directories');
  fact('keys', `made by \`bkp keygen\`; config in ${config.path}`);
  const env = { ...db.bkpEnv, XDG_STATE_HOME: join(dir, 'state') };
  return {
    db,
    redis,
    etcd,
    dc,
    files,
    stores,
    root: join(tempDir({ forServer: true }), 'restored'),
    options: { config: config.path, env },
  };
}

async function theSet(at: Stack) {
  chapter('WAL streams; everything else is taken as one set, into both stores');
  typed('bkp stream postgres &');
  const stream = startBkp(['stream', 'postgres'], at.options);
  const streaming = () => at.db.sql("select count(*) > 0 from pg_stat_replication where state = 'streaming'");
  await waitFor(async () => stream.process.exitCode !== null || (await streaming()) === 't', '`bkp stream postgres` to stream');
  if (stream.process.exitCode !== null) throw new Error(`\`bkp stream postgres\` ended: ${stream.output().stderr}`);
  const load = new Load(at.db);
  fact('load', `an order every ${EVERY_MS} ms, each counted when the server acknowledged it`);
  await bkp(['backup', 'full-dr'], at.options);
  await bkp(['list', 'full-dr'], at.options);
  return { stream, load };
}

/** Everything is restored once while nothing burns: on servers of its own, tried, timed, removed again. */
async function theRehearsal(at: Stack): Promise<void> {
  chapter('Rehearsed, before it is needed');
  await bkp(['drill', 'full-dr', '--report', join(at.root, '../report')], at.options);
}

/** Every server, every disk, and the store that stood beside them. */
async function theLoss(at: Stack, load: Load): Promise<number> {
  chapter('The house burns down');
  await pause(1500);
  const lsn = await at.db.sql('select pg_current_wal_lsn()');
  const segment = await at.db.sql(`select pg_walfile_name('${lsn}')`);
  await waitFor(() => holds(at.stores.offsite, segment), `WAL segment ${segment} in the second store`);
  await at.db.kill9();
  const died = Date.now();
  at.db.loseDisk();
  await Promise.all([load.stop(), at.redis.destroy(), at.etcd.stop(), at.dc.stop()]);
  for (const path of [at.etcd.dataDir, at.dc.dir, at.files, at.stores.local]) rmSync(path, { recursive: true, force: true });
  fact(clockTime(died), chalk.red('all four servers and the files are gone, and so is the store beside them'));
  fact('acknowledged', `${load.acknowledgedBy(died).length} orders`);
  return died;
}

/** Starts what came back and looks into it. @returns acknowledgement of the newest visit that came back, and whether all else is there */
async function theLook(at: Stack, load: Load): Promise<{ newest: number; whole: boolean }> {
  chapter('Is it all there?');
  const [db, redis, etcd] = await Promise.all([
    startPostgres({ version: '18', dir: join(at.root, 'postgres/app') }),
    startRedis({ dir: join(at.root, 'redis/sessions') }),
    startEtcd({ dataDir: join(at.root, 'etcd/main') }),
  ]);
  const last = Number(await db.sql('select coalesce(max(n), 0) from visits'));
  const wrong = Number(await db.sql('select count(*) from orders where amount <> id * 9.90'));
  const missing = [...load.visits.keys()].filter(n => n <= last).length - Number(await db.sql('select count(*) from visits'));
  const keys = Number(await redis.cli('DBSIZE'));
  const things = (await etcd.ask('get', '/registry/', '--prefix', '--keys-only')).split('\n').filter(Boolean).length;
  const users = USERS.filter(user => toolOn(join(at.root, 'samba/ad'), 'user', 'list').split('\n').includes(user)).length;
  const uploads = Array.from({ length: FILES }, (_, n) => join(at.root, 'volumes/uploads', `upload-${n}`));
  const whole = uploads.filter((file, n) => readFileSync(file, 'utf8') === `upload ${n}\n`.repeat(2000)).length;
  const tell = (name: string, ok: boolean, text: string): boolean => {
    (ok ? good : bad)(name, text);
    return ok;
  };
  const seen = [
    tell(
      'PostgreSQL',
      last > 0 && wrong === 0 && missing <= 0,
      `visits up to number ${last}, none missing below it, ${wrong} orders altered`,
    ),
    tell('Redis', keys === SESSIONS, `${keys} of ${SESSIONS} sessions`),
    tell('etcd', things === THINGS, `${things} of ${THINGS} objects`),
    tell('files', whole === FILES, `${whole} of ${FILES} as they were`),
    tell('Samba AD', users === USERS.length, `${users} of ${USERS.length} users, on a new DC named DC2`),
  ];
  return { newest: load.visits.get(last) ?? 0, whole: seen.every(Boolean) };
}

/** Tells the story. @returns whether everything came back */
export async function stackStory(): Promise<boolean> {
  const from = performance.now();
  const at = await theStack();
  const { stream, load } = await theSet(at);
  await theRehearsal(at);
  const died = await theLoss(at, load);
  await stopBkp(stream);
  chapter('What can be brought back, and from where?');
  await bkp(['points', '--from', 'offsite'], at.options);
  chapter('All of it back, by one command, out of the store that is left');
  const took = await bkp(['restore', 'full-dr', '--latest', '--from', 'offsite', '--to', at.root, '--yes'], at.options);
  const { newest, whole } = await theLook(at, load);
  await cleanUp();
  chapter('Measured');
  good('RTO', `${chalk.bold(seconds(took))}  from typing \`bkp restore full-dr\` to data that servers start on`);
  good('RPO', `${chalk.bold(seconds(died - newest))}  of commits (segments close after 2 s here)`);
  (whole ? good : bad)('data', whole ? 'everything is there' : 'NOT everything is there');
  fact('demo', `${seconds(performance.now() - from)}; everything it started and wrote is removed`);
  console.log(`\n${chalk.bold('Next')}`);
  typed('npm run demo -- postgres      # one table dropped, back to the second before');
  typed('bkp keygen --dir /etc/bkp/keys');
  typed('bkp doctor');
  typed('bkp restore full-dr --latest --to /srv/restored --dry-run');
  return whole;
}
