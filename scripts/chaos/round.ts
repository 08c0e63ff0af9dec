import { storeAt } from '../../test/providers/stores/s3rig.ts';
import { type Running, startBkp, stopBkp, waitFor } from '../../test/real/rig/index.ts';
import type { Fault } from './faults.ts';
import { argumentsOf, endFault, type Good, goodOf, lackedByFar, leftIn, secretsIn } from './judge.ts';
import type { Load } from './load.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

/** What runs by schedule, and how often of so many. A full-dr takes everything. */
const SCHEDULE: readonly (readonly string[])[] = [
  ['backup', 'postgres'],
  ['backup', 'redis'],
  ['backup', 'redis'],
  ['backup', 'etcd'],
  ['backup', 'volumes'],
  ['backup', 'full-dr'],
  ['prune', '--confirm'],
  ['verify', '--sample', '5%'],
  ['status'],
  ['list'],
];

/** One state of a run as it goes on. */
export interface State {
  world: World;
  load: Load;
  random: Random;
  good: Good[];
  /** Each is a defect. */
  wrong: string[];
  counts: { runs: number; killed: number; codes: Record<string, number>; faults: Record<string, number> };
  stream: Running | undefined;
}

export const startStream = ({ world }: State): Running => startBkp(['stream', 'postgres', '--json'], world.run);

async function oneRun(state: State, fault: Fault, words: readonly string[], env: Record<string, string>, alone: boolean): Promise<void> {
  const { world, load, random, counts } = state;
  const floors = { ...load.acknowledged };
  const child = startBkp([...words, '--json'], { ...world.run, env: { ...world.run.env, ...env } });
  let killed: NodeJS.Signals | undefined;
  const kill = child.kill;
  const watched: Running = {
    ...child,
    kill: signal => {
      killed = signal;
      kill(signal);
    },
  };
  fault.strike?.(watched, random);
  const looking = setInterval(
    () => note(state, secretsIn(argumentsOf(child.pid), world), `a secret stands in arguments during ${words.join(' ')}`),
    400,
  );
  const ended = await child.ended.finally(() => clearInterval(looking));
  counts.runs += 1;
  if (ended.signal) counts.killed += 1;
  const code = `${words[0]} ${ended.code ?? ended.signal}`;
  counts.codes[code] = (counts.codes[code] ?? 0) + 1;
  const wrong = endFault(words[0]!, ended, killed);
  if (wrong) state.wrong.push(`${fault.name}: ${wrong}`);
  note(state, secretsIn(ended.stdout + ended.stderr, world), `a secret was said by ${words.join(' ')} under ${fault.name}`);
  if (words[0] !== 'backup') return;
  const good = goodOf(ended, floors);
  state.good.push(...good);
  const lacked = fault.calm && alone ? lackedByFar(words[1]!, good) : [];
  if (lacked.length > 0)
    note(state, lacked, `with nothing in its way ${lacked.join(', ')} did not come into the far store: ${ended.stderr}`);
}

const note = ({ wrong }: State, found: readonly string[], what: string): void => {
  if (found.length > 0 && !wrong.includes(what)) wrong.push(what);
};

/** Exit codes of a stream that gives up: usage, refused, not found, conflict. */
const FINAL = [2, 4, 6, 7];

/** The stream does not have to survive everything; by whoever watches over it, it is started again. */
async function keepStream(state: State): Promise<void> {
  const strike = state.random.chance(0.15);
  if (state.stream && state.stream.process.exitCode === null && state.stream.process.signalCode === null) {
    if (strike) {
      state.stream.kill('SIGKILL');
      await state.stream.ended;
    } else return;
  }
  if (state.stream) {
    const { exitCode } = state.stream.process;
    const said = state.stream.output();
    note(state, secretsIn(Object.values(said).join(''), state.world), 'a secret was said by stream');
    // What no waiting mends, and no fault of these brings about: whoever starts it again would do so for ever.
    if (exitCode !== null && FINAL.includes(exitCode)) note(state, [said.stderr], `the stream ended with ${exitCode}: ${said.stderr}`);
  }
  state.stream = startStream(state);
}

/** Begins a fault, runs one or two programs of the schedule within it, two at once at times, and ends it. */
export async function round(state: State, fault: Fault): Promise<void> {
  const { world, random, counts } = state;
  counts.faults[fault.name] = (counts.faults[fault.name] ?? 0) + 1;
  world.far.forget();
  const env = fault.env?.(random) ?? {};
  const first = random.pick(SCHEDULE);
  const second = random.chance(0.3) ? (random.chance(0.5) ? first : random.pick(SCHEDULE)) : undefined;
  const begun = await fault.begin(world, random);
  let over: Promise<void> | undefined;
  const end = (): Promise<void> => {
    over ??= Promise.resolve().then(begun);
    return over;
  };
  // Nothing lasts for ever: what outlives it has to come through.
  const late = setTimeout(() => void end().catch(() => {}), random.int(5, 40) * 1000);
  try {
    await Promise.all([first, ...(second ? [second] : [])].map(words => oneRun(state, fault, words, env, second === undefined)));
  } finally {
    clearTimeout(late);
    await end();
  }
  const left = leftIn(world).filter(() => fault.strike === undefined);
  // The stream has temporary files of its own while it runs, so only what a run of a name of its own left is told.
  note(
    state,
    left.filter(name => /^bkp-(?!stream)/.test(name) && !state.stream),
    `${first.join(' ')} under ${fault.name} left ${left.join(', ')}`,
  );
  await keepStream(state);
}

/** The stream at its end, asked as a service manager asks. */
export async function endStream(state: State): Promise<void> {
  if (!state.stream) return;
  const { code, signal, stderr } = await stopBkp(state.stream, 'SIGTERM');
  if (code !== 143 && code !== 0 && code !== 1 && code !== 8) state.wrong.push(`stream ended with ${code ?? signal}: ${stderr}`);
  state.stream = undefined;
}

const keys = async ({ far, bucket }: World, prefix: string): Promise<string[]> => {
  const found: string[] = [];
  for await (const { key } of storeAt(far, bucket).list(prefix)) found.push(key);
  return found;
};

/** Waits until the far store has all WAL up to now, for as long as the stream ships any. */
export async function caughtUp({ world, stream }: State): Promise<void> {
  const name = await world.db.sql('select pg_walfile_name(pg_current_wal_lsn())');
  await world.db.sql('select pg_switch_wal()');
  const shipped = () => keys(world, 'bkp/production/postgres/app/wal/');
  for (let before = -1, now = 0; now > before; now = (await shipped()).length) {
    before = now;
    try {
      await waitFor(async () => (await shipped()).some(key => key.includes(`/${name}-`)), `WAL ${name}`, 500);
      return;
    } catch {
      // Some more may have come meanwhile.
    }
  }
  throw new Error(`the stream ships nothing more before ${name}: ${stream?.output().stderr.slice(-1000)}`);
}
