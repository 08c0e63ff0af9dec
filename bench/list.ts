// `bkp list` over 10,000 backups, by an S3 server and by a directory: with an empty cache, and with what the run before left in it.
// The peer by S3 is `s5cmd ls` of the same objects, which reads no manifest.
import { bkpCommand, cleanUp, makeConfig, tempDir } from '../test/real/rig/index.ts';
import { BASE, backup } from './catalog/backups.ts';
import { lay, startBucket } from './catalog/lay.ts';
import { signer } from './catalog/signer.ts';
import { median, round } from './measure.ts';
import { type Metered, metered } from './metered.ts';
import { clientEnv, peers } from './peers.ts';

const BACKUPS = 10_000;
const ROUNDS = 3;
const HOUR_MS = 3_600_000;

const bucket = await startBucket(2 * BACKUPS);
const { server, name, dir } = bucket;
const signed = signer();
function* objects() {
  for (let n = 0; n < BACKUPS; n += 1) yield* backup(signed.keys, new Date(Date.now() - (n + 1) * HOUR_MS));
}
const fill = await lay(dir, objects());
console.log(`${BACKUPS} backups laid in ${round(fill)} s`);

const { endpoint, region, accessKey, secretKey } = server;
const keys = { unencrypted: true, recipients: [], trusted: signed.trusted };
const postgres = { app: { engine: 'native' } };
const config = async (store: string | Record<string, unknown>) => (await makeConfig({ stores: { store }, postgres, keys })).path;
const configs = {
  s3: await config({ type: 's3', endpoint, region, bucket: name, accessKey, secretKey }),
  directory: await config(dir),
};

/** What is checked and not measured: that all of them are seen. */
function checkCount(path: string): void {
  const { stdout } = list(path, tempDir(), '--json');
  const seen = JSON.parse(stdout.trim().split('\n').at(-1)!).backups.length;
  if (seen !== BACKUPS) throw new Error(`bkp list shows ${seen} backups, and ${BACKUPS} were laid`);
}

function list(path: string, cache: string, ...more: string[]): Metered & { stdout: string } {
  const [file, args] = bkpCommand(['list', 'postgres', ...more]);
  return metered([file, ...args].join(' '), { BKP_CONFIG: path, XDG_CACHE_HOME: cache });
}

const { s5cmd } = peers();
const runs: Record<string, Metered[]> = {};
const note = (task: string, run: Metered): void => {
  runs[task] = [...(runs[task] ?? []), run];
};
for (const path of Object.values(configs)) checkCount(path);
for (let n = 0; n < ROUNDS; n += 1) {
  for (const [store, path] of Object.entries(configs)) {
    const cache = tempDir();
    note(`${store}_cold`, list(path, cache));
    note(`${store}_warm`, list(path, cache));
  }
  note('s5cmd_ls', metered(`${s5cmd} ls 's3://${name}/${BASE}/backups/*'`, clientEnv(server)));
}
await cleanUp();

const middle = (runs: readonly Metered[], field: keyof Metered, times: number): number =>
  Math.round(times * median(runs.map(run => run[field])));
const figures = Object.fromEntries(
  Object.entries(runs).map(([task, each]) => [
    task,
    { ms: middle(each, 'wall', 1000), cpu_ms: middle(each, 'cpu', 1000), rss_mib: middle(each, 'rss', 1) },
  ]),
);
for (const [task, { ms, cpu_ms, rss_mib }] of Object.entries(figures))
  console.log(`${task.padEnd(15)} ${String(ms).padStart(6)} ms  ${String(cpu_ms).padStart(6)} ms cpu  ${String(rss_mib).padStart(4)} MiB`);
const ratio = (task: string): number => round(figures[task]!.ms / figures['s5cmd_ls']!.ms);
console.log(
  JSON.stringify({
    bench: 'list',
    backups: BACKUPS,
    rounds: ROUNDS,
    fill_s: round(fill),
    medians: figures,
    ratio_cold: ratio('s3_cold'),
    ratio_warm: ratio('s3_warm'),
  }),
);
