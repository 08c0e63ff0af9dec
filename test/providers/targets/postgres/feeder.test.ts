import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { owned } from '../../../../src/core/spent.ts';
import { Feeder, feederPlaces } from '../../../../src/providers/targets/postgres/feeder.ts';
import { pause, waitFor } from '../../../real/rig/wait.ts';

const SEGMENTS = [1, 2, 3].map(n => `00000001000000000000000${n}`);
const BYTES = 16 * 1024 * 1024;
/** What a server asks for at the end of recovery. */
const LAST = ['000000010000000000000004', '00000001.history', '00000002.history'];

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'feeder-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A source whose second segment comes when it is let go, and whose looks at a segment are counted. */
function source() {
  let letGo = () => {};
  const held = new Promise<void>(resolve => {
    letGo = resolve;
  });
  const asked: string[] = [];
  const base = { segmentBytes: BYTES, from: BigInt(BYTES), to: BigInt(BYTES) + 1n };
  return {
    asked,
    letGo: () => letGo(),
    reach: { base, segments: SEGMENTS, end: BigInt(4 * BYTES), timeline: 1 } as any,
    ahead: 2,
    read: async (name: string): Promise<Buffer | undefined> => {
      if (LAST.includes(name)) return undefined;
      asked.push(name);
      if (name !== SEGMENTS[0]) await held;
      return Buffer.from(name);
    },
  };
}

const ask = (feeder: Feeder, name: string) =>
  new Promise<string>((resolve, reject) => {
    const link = connect(feeder.socket, () => link.end(`${name}\n`));
    link.on('data', data => resolve(data.toString())).on('error', reject);
  });

it('reads the next ones ahead of a question, and lays them ready', async () => {
  const from = source();
  const feeder = new Feeder(from, dir);
  await feeder.listen();
  from.letGo();
  const { ready } = feederPlaces(dir);
  expect(await ask(feeder, SEGMENTS[0]!)).toBe(`0 ${join(ready, SEGMENTS[0]!)}`);
  await waitFor(() => readdirSync(ready).length === 3, 'the next two');
  expect(readdirSync(ready).sort()).toEqual(SEGMENTS);
  await feeder.close();
});

it('begins with the first ones before anybody asks, and with no more than it may read ahead', async () => {
  const from = source();
  const feeder = new Feeder(from, dir);
  await feeder.listen();
  expect(from.asked).toEqual(SEGMENTS.slice(0, 2));
  from.letGo();
  const { ready } = feederPlaces(dir);
  await waitFor(() => readdirSync(ready).length === 2, 'the first two');
  expect(await ask(feeder, SEGMENTS[0]!)).toBe(`0 ${join(ready, SEGMENTS[0]!)}`);
  await waitFor(() => readdirSync(ready).length === 3, 'the third');
  expect(from.asked).toEqual(SEGMENTS);
  await feeder.close();
});

it('writes nothing once it is closed: what was still being read would keep its directory from being removed', async () => {
  const from = source();
  const feeder = new Feeder(from, dir);
  await feeder.listen();
  await ask(feeder, SEGMENTS[0]!);
  expect(from.asked).toEqual(SEGMENTS);
  await feeder.close();
  from.letGo();
  await pause(20);
  expect(readdirSync(feederPlaces(dir).ready)).toEqual([SEGMENTS[0]]);
  expect(readdirSync(feederPlaces(dir).raw)).toEqual([]);
});

it('marks what no store has before anybody asks, and what is asked for later; a hole is no end, and gets no mark', async () => {
  const from = source();
  const lacked = [SEGMENTS[2]!, '00000003.history'];
  const feeder = new Feeder({ ...from, read: async name => (lacked.includes(name) ? undefined : from.read(name)) }, dir);
  await feeder.listen();
  const { absent } = feederPlaces(dir);
  await waitFor(() => readdirSync(absent).length === 3, 'the marks');
  expect(readdirSync(absent).sort()).toEqual([...LAST].sort());
  expect(await ask(feeder, '00000003.history')).toBe('74');
  await waitFor(() => readdirSync(absent).length === 4, 'one more mark');
  expect(await ask(feeder, SEGMENTS[2]!)).toMatch(/^255 WAL 000000010000000000000003 is needed/);
  from.letGo();
  await feeder.close();
  expect(readdirSync(absent).sort()).toEqual([...LAST, '00000003.history'].sort());
});

it('reads nothing ahead where it may not, and marks nothing', async () => {
  const from = source();
  const feeder = new Feeder({ ...from, ahead: 0 }, dir);
  await feeder.listen();
  expect(from.asked).toEqual([]);
  await pause(20);
  expect(readdirSync(feederPlaces(dir).absent)).toEqual([]);
  await feeder.close();
});

it('looks at each segment before it lies ready, lays it down as it was read, and lets go of its memory then', async () => {
  const from = source();
  const read: Buffer[] = [];
  const seen: string[] = [];
  const feeder = new Feeder(
    {
      ...from,
      read: async name => {
        if (LAST.includes(name)) return undefined;
        read.push(owned(Buffer.allocUnsafeSlow(100_000).fill(name)));
        return read.at(-1);
      },
      check: async (name, plain) => {
        expect([readdirSync(feederPlaces(dir).ready).includes(name), plain.toString().startsWith(name)]).toEqual([false, true]);
        if (name === SEGMENTS[2]) throw new Error('not this one');
        seen.push(name);
      },
    },
    dir,
  );
  await feeder.listen();
  expect(await ask(feeder, SEGMENTS[1]!)).toContain(SEGMENTS[1]);
  expect(await ask(feeder, SEGMENTS[2]!)).toBe('255 not this one');
  await ask(feeder, SEGMENTS[0]!);
  await feeder.close();
  expect(seen.sort()).toEqual(SEGMENTS.slice(0, 2));
  const { ready } = feederPlaces(dir);
  expect(readdirSync(ready).sort()).toEqual(SEGMENTS.slice(0, 2));
  for (const name of SEGMENTS.slice(0, 2)) expect(readFileSync(join(ready, name)).equals(Buffer.alloc(100_000, name))).toBe(true);
  expect(read.slice(0, 2).map(({ length }) => length)).toEqual([0, 0]);
});
