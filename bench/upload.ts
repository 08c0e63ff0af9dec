// 1 GiB from a pipe into S3: bkp's blocks against s5cmd and rclone; then the whole line (zstd, age) into one store and into two
// against the same tools joined by a shell. RSS once more for 100 MB and 5 GB.
import { join } from 'node:path';
import { cleanUp, node24 } from '../test/real/rig/index.ts';
import { round } from './measure.ts';
import { type Metered, medians, metered } from './metered.ts';
import { halfPacked, world } from './s3/world.ts';

const ROUNDS = 3;
const w = await world();
const { s5cmd, rclone } = w.peers;
const [one, two] = w.buckets as [string, string];
const file = halfPacked(join(w.dir, 'data'), 1024);

const bkp = (does: string, key: string, buckets: string[], from = file): Metered =>
  metered(`cat ${from} | ${node24()} ${w.line} >/dev/null`, {
    BENCH: JSON.stringify({ does, key, recipients: [w.pair.recipient], stores: buckets.map(w.entry) }),
  });
const peer = (line: string): Metered => metered(line, w.env);
const sealed = `cat ${file} | zstd -q -3 -T0 -c | age -r ${w.pair.recipient}`;

const tasks: Record<string, (n: number) => Metered> = {
  bkp_pipe: n => bkp('pipe', `pipe${n}`, [one]),
  s5cmd_pipe: n => peer(`cat ${file} | ${s5cmd} pipe s3://${one}/s5-pipe${n}`),
  rclone_rcat: n => peer(`cat ${file} | ${rclone} rcat B:${one}/rc-pipe${n}`),
  bkp_one: n => bkp('seal', `one${n}`, [one]),
  shell_one: n => peer(`${sealed} | ${s5cmd} pipe s3://${one}/s5-one${n}`),
  bkp_two: n => bkp('seal', `two${n}`, [one, two]),
  shell_two: n => peer(`${sealed} | tee >(${s5cmd} pipe s3://${two}/s5-two${n}) | ${s5cmd} pipe s3://${one}/s5-two${n}`),
};
const runs: Record<string, Metered[]> = {};
for (let n = 0; n < ROUNDS; n += 1) for (const [name, task] of Object.entries(tasks)) runs[name] = [...(runs[name] ?? []), task(n)];
const of = Object.fromEntries(Object.entries(runs).map(([name, each]) => [name, medians(each)])) as Record<keyof typeof tasks, Metered>;
for (const [name, { wall, cpu, rss }] of Object.entries(of))
  console.log(
    `${name.padEnd(12)} ${wall.toFixed(2).padStart(6)} s  ${cpu.toFixed(2).padStart(6)} s cpu  ${rss.toFixed(0).padStart(4)} MiB`,
  );

const small = bkp('seal', 'small', [one], halfPacked(join(w.dir, 'small'), 100));
const large = metered(`for n in 1 2 3 4 5; do cat ${file}; done | ${node24()} ${w.line} >/dev/null`, {
  BENCH: JSON.stringify({ does: 'seal', key: 'large', recipients: [w.pair.recipient], stores: [w.entry(one)] }),
});
await cleanUp();

const pipe = of['bkp_pipe']!.wall / Math.min(of['s5cmd_pipe']!.wall, of['rclone_rcat']!.wall);
const toOne = of['bkp_one']!.wall / of['shell_one']!.wall;
const toTwo = of['bkp_two']!.wall / of['shell_two']!.wall;
console.log(
  JSON.stringify({
    bench: 'upload',
    rounds: ROUNDS,
    bytes: 1024 ** 3,
    medians: of,
    rss_100mb: round(small.rss),
    rss_5gb: round(large.rss),
    ratio_pipe: round(pipe),
    ratio_one: round(toOne),
    ratio_two: round(toTwo),
    ratio: round(Math.max(pipe, toOne, toTwo)),
  }),
);
