// 1 GiB out of S3: bkp's get against s5cmd and rclone; then the whole line back (age, zstd, every hash) against the same tools joined
// by a shell.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, node24 } from '../test/real/rig/index.ts';
import { round } from './measure.ts';
import { type Metered, medians, metered } from './metered.ts';
import { halfPacked, world } from './s3/world.ts';

const ROUNDS = 3;
const w = await world();
const { s5cmd, rclone } = w.peers;
const one = w.buckets[0]!;
const file = halfPacked(join(w.dir, 'data'), 1024);
const identity = join(w.dir, 'identity');
writeFileSync(identity, `${w.pair.identity}\n`, { mode: 0o600 });

const task = (more: Record<string, unknown>): Record<string, string> => ({
  BENCH: JSON.stringify({ key: 'sealed', recipients: [w.pair.recipient], stores: [w.entry(one)], ...more }),
});
const { stdout } = metered(`cat ${file} | ${node24()} ${w.line}`, task({ does: 'seal' }));
const ref = JSON.parse(stdout.trim().split('\n').at(-1)!);
const sealed = ref.objects[0].key as string;
metered(`cat ${file} | ${s5cmd} pipe s3://${one}/plain`, w.env);

const tasks: Record<string, () => Metered> = {
  bkp_cat: () => metered(`${node24()} ${w.line} >/dev/null`, task({ does: 'cat', key: 'plain' })),
  s5cmd_cat: () => metered(`${s5cmd} cat s3://${one}/plain >/dev/null`, w.env),
  rclone_cat: () => metered(`${rclone} cat B:${one}/plain >/dev/null`, w.env),
  bkp_open: () => metered(`${node24()} ${w.line} >/dev/null`, task({ does: 'open', identity: w.pair.identity, ref })),
  shell_open: () => metered(`${s5cmd} cat s3://${one}/${sealed} | age -d -i ${identity} | zstd -q -d -c >/dev/null`, w.env),
};
const runs: Record<string, Metered[]> = {};
for (let n = 0; n < ROUNDS; n += 1) for (const [name, each] of Object.entries(tasks)) runs[name] = [...(runs[name] ?? []), each()];
const of = Object.fromEntries(Object.entries(runs).map(([name, each]) => [name, medians(each)])) as Record<keyof typeof tasks, Metered>;
for (const [name, { wall, cpu, rss }] of Object.entries(of))
  console.log(
    `${name.padEnd(12)} ${wall.toFixed(2).padStart(6)} s  ${cpu.toFixed(2).padStart(6)} s cpu  ${rss.toFixed(0).padStart(4)} MiB`,
  );
await cleanUp();

const plain = of['bkp_cat']!.wall / Math.min(of['s5cmd_cat']!.wall, of['rclone_cat']!.wall);
const line = of['bkp_open']!.wall / of['shell_open']!.wall;
console.log(
  JSON.stringify({
    bench: 'download',
    rounds: ROUNDS,
    bytes: 1024 ** 3,
    medians: of,
    ratio_plain: round(plain),
    ratio_line: round(line),
    ratio: round(Math.max(plain, line)),
  }),
);
