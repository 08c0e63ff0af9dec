// A database of 250 MB in etcd: `bkp backup etcd` into S3 against `etcdctl snapshot save`, zstd and rclone. The peer neither tries the
// snapshot nor encrypts it, so both are also timed: the whole of bkp, and the peer with the same trial restore. RSS once more at 50 MB.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { entryOf, setUp } from '../test/real/etcdSetup.ts';
import { bkpCommand, cleanUp, type Etcd, etcdBin, run, start, startEtcd, startVersity, tempDir } from '../test/real/rig/index.ts';
import { round } from './measure.ts';
import { medians, metered } from './metered.ts';
import { clientEnv, peers } from './peers.ts';

const ROUNDS = 3;
const MIB = 1 << 20;

/** Values of which half are packed away. */
async function filled(mib: number): Promise<Etcd> {
  const etcd = await startEtcd();
  const env = { PATH: process.env['PATH'] ?? '', ...etcd.env };
  for (let n = 0; n < mib; n += 1)
    await run(join(etcdBin('3.6'), 'etcdctl'), ['put', `key${n}`], {
      env,
      input: randomBytes(MIB >> 1)
        .toString('hex')
        .slice(0, MIB - 100),
    });
  return etcd;
}

const { rclone } = peers();
const server = await startVersity();
const bucket = await server.bucket();
const store = {
  type: 's3',
  endpoint: server.endpoint,
  region: server.region,
  bucket,
  accessKey: server.accessKey,
  secretKey: server.secretKey,
  pathStyle: true,
};

async function bkpLine(etcd: Etcd): Promise<{ line: string; env: Record<string, string> }> {
  const at = await setUp(entryOf(etcd), undefined, { s3: store });
  const [file, args] = bkpCommand(['backup', 'etcd', 'main', '--quiet', '--new-lineage', '--accept-size']);
  return { line: [file, ...args].join(' '), env: { BKP_CONFIG: at.run.config, ...at.run.env } };
}

/** Largest memory of bkp itself, MiB: that of etcdutl, which maps the whole database, is not bkp's. */
async function peak({ line, env }: { line: string; env: Record<string, string> }): Promise<number> {
  const [file, ...args] = line.split(' ') as [string, ...string[]];
  const child = start(file, args, { env: { PATH: process.env['PATH'] ?? '', HOME: dir, ...env } });
  let most = 0;
  const timer = setInterval(() => {
    const status = existsSync(`/proc/${child.pid}/status`) ? readFileSync(`/proc/${child.pid}/status`, 'utf8') : '';
    most = Math.max(most, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
  }, 20);
  await child.ended;
  clearInterval(timer);
  return most;
}

const dir = tempDir();
const large = await filled(250);
const small = await filled(50);
const bkp = await bkpLine(large);
const tiny = await bkpLine(small);
const [etcdctl, etcdutl] = ['etcdctl', 'etcdutl'].map(name => join(etcdBin('3.6'), name));
const env = { ...clientEnv(server), ETCDCTL_ENDPOINTS: large.endpoint };
const save = `rm -rf ${dir}/s.db ${dir}/r; ${etcdctl} snapshot save ${dir}/s.db >/dev/null 2>&1`;
const push = (n: number) => `zstd -q -3 -T0 -c ${dir}/s.db | ${rclone} rcat B:${bucket}/peer${n}`;
const runs = { bkp: [], peer: [], peer_with_trial: [] } as Record<string, ReturnType<typeof metered>[]>;
for (let n = 0; n < ROUNDS; n += 1) {
  runs['bkp']!.push(metered(bkp.line, bkp.env));
  runs['peer']!.push(metered(`${save} && ${push(n)}`, env));
  runs['peer_with_trial']!.push(
    metered(`${save} && ${etcdutl} snapshot restore ${dir}/s.db --data-dir ${dir}/r >/dev/null 2>&1 && ${push(n)}`, env),
  );
}
const of = Object.fromEntries(Object.entries(runs).map(([name, each]) => [name, medians(each)]));
for (const [name, { wall, cpu, rss }] of Object.entries(of))
  console.log(
    `${name.padEnd(16)} ${wall.toFixed(2).padStart(6)} s  ${cpu.toFixed(2).padStart(6)} s cpu  ${rss.toFixed(0).padStart(4)} MiB`,
  );
const [rssSmall, rssLarge] = [await peak(tiny), await peak(bkp)];
await cleanUp();
console.log(
  JSON.stringify({
    bench: 'etcd',
    rounds: ROUNDS,
    bytes: 250 * MIB,
    medians: of,
    rss_50mb: round(rssSmall),
    rss_250mb: round(rssLarge),
    ratio: round(of['bkp']!.wall / of['peer']!.wall),
    ratio_with_trial: round(of['bkp']!.wall / of['peer_with_trial']!.wall),
  }),
);
