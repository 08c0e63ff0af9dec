// The whole stack at once: backup, restore and drill in seconds a phase, against the same parts one by one: their sum, and the slowest
// chain of parts that wait for one another, below which no order can get.
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Evidence } from '../src/core/evidence.ts';
import { needsOf, wavesOf } from '../src/core/waves.ts';
import { entryOf } from '../test/real/etcdSetup.ts';
import { cleanUp, makeConfig, runBkp, startEtcd, startPostgres, startRedis, tempDir } from '../test/real/rig/index.ts';
import { provision } from '../test/real/rig/samba.ts';
import { round } from './measure.ts';

const MIB = 1 << 20;

const [db, redis, etcd, dc] = await Promise.all([startPostgres({ version: '18' }), startRedis(), startEtcd(), provision()]);
await dc.start();
await db.sql('create table rows (id bigint, text text)');
await db.sql(
  'insert into rows select n, md5(n::text) || md5((n * 7)::text) || repeat(md5((n / 9)::text), 5) from generate_series(1, 1700000) n',
);
for (let n = 0; n < 200; n += 1)
  await redis.cli(
    'EVAL',
    "for i = 1, 1024 do redis.call('set', KEYS[1] .. i, string.rep(redis.sha1hex(KEYS[1] .. i), 25)) end",
    '1',
    `k${n}:`,
  );
for (let n = 0; n < 50; n += 1) await etcd.ask('put', `/registry/thing/${n}`, 'x'.repeat(1000));
const files = join(tempDir(), 'files');
mkdirSync(files);
for (let n = 0; n < 500; n += 1) writeFileSync(join(files, `file${n}`), randomBytes(MIB >> 1).toString('hex'));

const AFTER = { etcd: [], volumes: [], samba: ['etcd', 'volumes'], postgres: ['etcd', 'volumes'], redis: ['samba', 'postgres'] };
const config = await makeConfig({
  stores: { local: tempDir() },
  postgres: { main: db.entry({ spool: join(tempDir(), 'spool') }) },
  redis: { main: redis.entry({}) },
  etcd: { main: entryOf(etcd) },
  samba: { main: { smbConf: dc.conf, dbcheck: false, fullDr: { options: { 'server-name': 'DC2', 'host-ip': '127.0.0.1' } } } },
  volumes: { main: { engine: 'files', paths: [files] } },
});
const env = { ...db.bkpEnv, XDG_STATE_HOME: tempDir() };

/** Runs bkp to its end. @returns its result, and the seconds that it took */
async function timed(args: readonly string[]): Promise<{ seconds: number; result: Record<string, any> }> {
  const from = performance.now();
  const { code, stdout, stderr } = await runBkp([...args, '--json'], { config: config.path, env });
  if (code !== 0) throw new Error(`bkp ${args.join(' ')} ended with ${code}: ${stderr}`);
  return { seconds: round((performance.now() - from) / 1000), result: JSON.parse(stdout.trim().split('\n').at(-1)!) };
}

const backup = await timed(['backup', 'full-dr']);
const root = (): string => join(tempDir({ forServer: true }), 'dr');
const singles = new Map<string, number>();
for (const kind of Object.keys(AFTER)) {
  const own = kind === 'samba' ? ['--server-name', 'DC2', '--host-ip', '127.0.0.1'] : [];
  singles.set(kind, (await timed(['restore', kind, 'main', '--from-backup', 'latest', '--to', root(), '--yes', ...own])).seconds);
}
const restore = await timed(['restore', 'full-dr', '--from-backup', backup.result['set'], '--to', root(), '--yes']);
const drill = await timed(['drill', 'full-dr']);

const members = Object.entries(AFTER).map(([kind, after]) => ({ kind, name: 'main', after }));
/** Seconds until a part is back when all that it waits for begins as early as it can. */
const chain = (of: (typeof members)[number]): number => singles.get(of.kind)! + Math.max(0, ...needsOf(of, members).map(chain));
const slowest = Math.max(...wavesOf(members).waves.flat().map(chain));
const sum = [...singles.values()].reduce((a, b) => a + b, 0);

for (const [kind, seconds] of singles) console.log(`restore ${kind.padEnd(10)} alone ${seconds.toFixed(1).padStart(6)} s`);
for (const { kind, phases, rtoSeconds } of (drill.result['drill'] as Evidence).targets)
  console.log(
    `drill   ${kind.padEnd(10)} fetch ${phases?.fetch}  restore ${phases?.restore}  start ${phases?.start}  prove ${phases?.prove}  RTO ${rtoSeconds}`,
  );
await dc.stop();
await cleanUp();
console.log(
  JSON.stringify({
    bench: 'full-dr',
    backup_s: backup.seconds,
    restore_s: restore.seconds,
    drill_s: drill.seconds,
    singles_s: Object.fromEntries(singles),
    ratio_sum: round(restore.seconds / sum),
    ratio_chain: round(restore.seconds / slowest),
  }),
);
