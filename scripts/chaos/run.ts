import { join } from 'node:path';
import { removeTemp, tempDir, waitFor } from '../../test/real/rig/index.ts';
import { FAULTS, type Fault } from './faults.ts';
import { type Good, goodOf, lackedByFar, lostIn, secretsIn, tried } from './judge.ts';
import { Load } from './load.ts';
import { randomOf } from './random.ts';
import { caughtUp, endStream, round, type State, startStream } from './round.ts';
import { bkp, KINDS, makeWorld } from './world.ts';

/** How long, and by which numbers. */
export interface Wish {
  seed: number;
  /** Goes on until then, ms; or so many rounds. */
  ms?: number;
  rounds?: number;
  /** Backups of each kind that are restored at the end, from each store; all, unless set. */
  restores?: number;
  /** What may go wrong; everything, unless set. */
  faults?: readonly Fault[];
  say(text: string): void;
  /** May claim other things to be good than were, right before all are restored: what is not true has to be found. */
  claim?(good: Good[]): void;
}

export interface Verdict {
  /** A sentence for each defect; empty = passed. */
  wrong: string[];
  rounds: number;
  counts: State['counts'];
  good: number;
  /** Restores that were tried at the end, and of them how many said no, because an object had been harmed. */
  restored: number;
  refused: number;
  /** Between the last commit that came back and the moment at which the server was lost, ms. */
  rpoMs: number;
}

const RPO_PROMISE_MS = 15 * 60_000;

/** Restores what was called good, out of each store that was said to have it. What says no has to be what verify names. */
async function judgeAll(state: State, wish: Wish, harmed: boolean): Promise<{ restored: number; refused: number }> {
  const { world, random, good, wrong } = state;
  let [restored, refused] = [0, 0];
  let damaged: string | undefined;
  for (const kind of KINDS) {
    const all = good.filter(each => each.kind === kind);
    const chosen = sample(all, wish.restores ?? all.length, random.next);
    for (const each of chosen)
      for (const store of each.stores) {
        const { sentence, lost } = await tried(world, each, store);
        restored += 1;
        if (lost)
          wrong.push(
            `${kind} ${each.id} out of ${store} came back without ${lost.length} of ${each.floor}: ${lost.slice(0, 5).join(', ')} …`,
          );
        if (!sentence) continue;
        refused += 1;
        if (store !== 'near' || !harmed) wrong.push(`${kind} ${each.id} was called good in ${store}, and does not come back: ${sentence}`);
        else {
          damaged ??= (await bkp(world, ['verify', '--deep', '--no-proof', '--from', 'near'])).stdout;
          if (!damaged.includes(each.id) && !new RegExp(`"target":"${kind}/[^}]*"(damaged|missing)"`).test(damaged))
            wrong.push(`${kind} ${each.id} does not come back out of near (${sentence}), and verify --deep does not say so`);
        }
      }
  }
  return { restored, refused };
}

/** The newest, and some of the others. */
function sample(all: readonly Good[], most: number, random: () => number): Good[] {
  const rest = [...all];
  const chosen = rest.splice(-1);
  while (chosen.length < most && rest.length > 0) chosen.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return chosen;
}

/** The server is lost; what the far store brings back is compared with what was acknowledged. */
async function loseServer(state: State): Promise<number> {
  const { world, load, wrong } = state;
  state.stream ??= startStream(state);
  await waitFor(
    async () =>
      (await world.db.sql("select active or restart_lsn is not null from pg_replication_slots where slot_name like 'bkp%'")) === 't',
    'the slot',
  );
  const floor = load.acknowledged.postgres;
  await caughtUp(state);
  await endStream(state);
  const { postgres } = await load.stop();
  await world.db.kill9();
  const gone = Date.now();
  const root = tempDir({ forServer: true });
  const to = join(root, 'back');
  const { code, stderr } = await bkp(world, ['restore', 'postgres', 'app', '--latest', '--from', 'far', '--to', to, '--yes']);
  if (code !== 0) {
    wrong.push(`the last restore ended with ${code}: ${stderr}`);
    return Number.POSITIVE_INFINITY;
  }
  const lost = await lostIn('postgres', to, postgres);
  removeTemp(root);
  const needed = lost.filter(n => n <= floor);
  if (needed.length > 0) wrong.push(`WAL was in the stores, and ${needed.length} commits of it did not come back`);
  const rpoMs = lost.length > 0 ? gone - load.times[lost[0]! - 1]! : 0;
  if (rpoMs > RPO_PROMISE_MS) wrong.push(`the last commit that came back was ${rpoMs} ms old`);
  return rpoMs;
}

/** One run of it all: load, faults, programs; then the reckoning. */
export async function chaos(wish: Wish): Promise<Verdict> {
  const random = randomOf(wish.seed);
  const world = await makeWorld((wish.ms ?? 0) / 60_000);
  const load = new Load(world);
  const counts: State['counts'] = { runs: 0, killed: 0, codes: {}, faults: {} };
  const state: State = { world, load, random, good: [], wrong: [], counts, stream: undefined };
  const end = Date.now() + (wish.ms ?? Number.POSITIVE_INFINITY);
  let [rounds, harmed] = [0, false];
  try {
    await waitFor(() => KINDS.every(kind => load.acknowledged[kind] > 2), 'the first writes');
    state.stream = startStream(state);
    const floors = { ...load.acknowledged };
    const first = await bkp(world, ['backup', 'full-dr']);
    state.good.push(...goodOf(first, floors));
    if (first.code !== 0) state.wrong.push(`the first backup ended with ${first.code}: ${first.stderr}${first.stdout.slice(-500)}`);
    const told: string[] = [];
    const tell = (text: string): string => {
      told.push(text);
      return `\n   WRONG: ${text}`;
    };
    while (Date.now() < end && rounds < (wish.rounds ?? Number.POSITIVE_INFINITY)) {
      // What came before takes as many numbers as its moments want; the seed alone says what comes next.
      state.random = randomOf(wish.seed + 7919 * (rounds + 1));
      const fault = state.random.pick(wish.faults ?? FAULTS);
      harmed ||= fault.harms ?? false;
      await round(state, fault);
      rounds += 1;
      wish.say(`${rounds}: ${fault.name}; ${state.good.length} good${state.wrong.splice(0).map(tell).join('')}`);
    }
    const before = { ...load.acknowledged };
    const last = await bkp(world, ['backup', 'full-dr']);
    const newest = goodOf(last, before);
    state.good.push(...newest);
    const lacked = lackedByFar('full-dr', newest);
    if (lacked.length > 0)
      state.wrong.push(`with everything well again ${lacked.join(', ')} did not come into the far store: ${last.stderr}`);
    // What was harmed for good may stand in the way of one part, and that is told.
    if (last.code !== 0 && last.code !== 3 && !(harmed && last.code === 1))
      state.wrong.push(`with everything well again a backup ended with ${last.code}: ${last.stderr}${last.stdout.slice(-1000)}`);
    // What keeps the last restore from being made is a defect, and no reason to leave the others out.
    const rpoMs = await loseServer(state).catch((error: Error) => {
      state.wrong.push(`the server was not lost and restored: ${error.message}`);
      return Number.POSITIVE_INFINITY;
    });
    wish.claim?.(state.good);
    const { restored, refused } = await judgeAll(state, wish, harmed);
    const { stdout, stderr } = await bkp(world, ['verify', '--deep', '--no-proof', '--from', 'far']);
    if (/"(damaged|missing)"/.test(stdout)) state.wrong.push(`the far store, which nobody harmed, is damaged: ${stdout}`);
    if (secretsIn(stdout + stderr, world).length > 0) state.wrong.push('a secret was said by verify');
    return { wrong: [...told, ...state.wrong], rounds, counts, good: state.good.length, restored, refused, rpoMs };
  } finally {
    await load.stop();
    if (state.stream) await endStream(state);
    world.close();
  }
}
