// A Redis of about 500 MB: `bkp backup redis` (read to its end, compressed, encrypted, hashed) into a directory against the same by hand:
// redis-cli --rdb, then zstd, age and rclone, and once more with redis-check-rdb in between. Memory once more with a tenth of the data.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bkpCommand, cleanUp, makeConfig, type Redis, startRedis, tempDir } from '../test/real/rig/index.ts';
import { round } from './measure.ts';
import { type Metered, medians, metered } from './metered.ts';
import { peers } from './peers.ts';

const ROUNDS = 3;
const { rclone } = peers();

/** Keys of 480 hex digits each, which compress to about half. */
async function filled(keys: number): Promise<Redis> {
  const server = await startRedis();
  const script = `for i = ARGV[1], ARGV[2] do
    local t = {}
    for j = 1, 12 do t[j] = redis.sha1hex(i .. ':' .. j) end
    redis.call('set', 'key:' .. i, table.concat(t))
  end return 1`;
  for (let from = 1; from <= keys; from += 10_000) await server.cli('EVAL', script, '0', String(from), String(from + 9999));
  return server;
}

async function into(server: Redis, dir: string) {
  const config = await makeConfig({ dir, stores: { local: join(dir, 'store') }, redis: { app: server.entry() } });
  const recipient = /age1\w+/.exec(readFileSync(config.path, 'utf8'))![0];
  const [file, args] = bkpCommand(['backup', 'redis', 'app', '--quiet']);
  return { recipient, bkp: () => metered([file, ...args].join(' '), { BKP_CONFIG: config.path }) };
}

const server = await filled(1_000_000);
const dir = tempDir();
const { bkp, recipient } = await into(server, dir);
const dump = join(dir, 'dump.rdb');
const byHand = (n: string, check = 'true'): Metered =>
  metered(
    `rm -f ${dump}; redis-cli -p ${server.port} --rdb ${dump} >/dev/null 2>&1 && ${check} >/dev/null && zstd -q -3 -T0 -c ${dump} | age -r ${recipient} | ${rclone} rcat ${dir}/rclone/${n}`,
    {},
  );
const runs = { bkp: [] as Metered[], hand: [] as Metered[], checked: [] as Metered[] };
for (let n = 0; n < ROUNDS; n += 1) {
  runs.hand.push(byHand(`plain${n}`));
  runs.checked.push(byHand(`checked${n}`, `redis-check-rdb ${dump}`));
  runs.bkp.push(bkp());
}
const bytes = readFileSync(dump).length;
const small = await filled(100_000);
const tenth = (await into(small, tempDir())).bkp();
await cleanUp();

const [ours, theirs, checked] = [medians(runs.bkp), medians(runs.hand), medians(runs.checked)];
for (const [name, { wall, cpu, rss }] of Object.entries({ bkp: ours, by_hand: theirs, checked, bkp_tenth: tenth }))
  console.log(
    `${name.padEnd(10)} ${wall.toFixed(2).padStart(6)} s  ${cpu.toFixed(2).padStart(6)} s cpu  ${rss.toFixed(0).padStart(4)} MiB`,
  );
console.log(
  JSON.stringify({
    bench: 'redis',
    rounds: ROUNDS,
    bytes,
    medians: { bkp: ours, by_hand: theirs, checked },
    rss_50mb: round(tenth.rss),
    rss_500mb: round(ours.rss),
    ratio_checked: round(ours.wall / checked.wall),
    ratio: round(ours.wall / theirs.wall),
  }),
);
