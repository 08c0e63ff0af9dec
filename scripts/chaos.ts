// `npm run chaos -- --seed N --minutes M`: PostgreSQL, Redis, etcd and files under load, bkp running its schedule over and over, and faults
// by the numbers of the seed; then everything that was called good is restored and compared with what was acknowledged. Ends with 1 and the
// seed when something is not as it should be. Needs root: one store is a disk of its own, which gets full.
import { parseArgs } from 'node:util';
import { cleanUp } from '../test/real/rig/index.ts';
import { FAULTS } from './chaos/faults.ts';
import { chaos } from './chaos/run.ts';

const whole = (text: string | undefined, otherwise: number): number => {
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error('usage: npm run chaos -- [--seed N] [--minutes M | --rounds R] [--restores K] [--faults WORDS]');
  process.exit(2);
};

const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { seed: text, minutes: text, rounds: text, restores: text, faults: text } });
const seed = whole(values.seed, Math.floor(Math.random() * 1_000_000));
const words = (values.faults ?? '').split(',').map(each => each.trim());
const faults = FAULTS.filter(({ name }) => words.some(each => name.includes(each)));
if (faults.length === 0) {
  console.error(`no fault has the words "${values.faults}" in its name; there are: ${FAULTS.map(({ name }) => name).join('; ')}`);
  process.exit(2);
}
const rounds = values.rounds === undefined ? undefined : whole(values.rounds, 0);
try {
  const verdict = await chaos({
    seed,
    ...(rounds === undefined ? { ms: whole(values.minutes, 10) * 60_000 } : { rounds }),
    faults,
    ...(values.restores === undefined ? {} : { restores: whole(values.restores, 0) }),
    say: line => console.log(line),
  });
  console.log(JSON.stringify(verdict, null, 2));
  if (verdict.wrong.length > 0) {
    console.error(`chaos: ${verdict.wrong.length} defect(s) with --seed ${seed}`);
    process.exitCode = 1;
  } else console.log(`chaos: passed with --seed ${seed}`);
} catch (error) {
  console.error(`chaos: it could not go on with --seed ${seed}: ${error instanceof Error ? error.stack : error}`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
process.exit();
