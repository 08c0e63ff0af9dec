import { expect, it } from '@jest/globals';
import { EVENTS, type Message, type NotifyEvent, type Outcome } from '../../../src/core/notify/types.ts';
import type { Notifier } from '../../../src/ops/notify/deliver.ts';
import { type Telling, tellEnd, tellStart } from '../../../src/ops/notify/tell.ts';
import { type RunRecord, recordRun } from '../../../src/ops/records/run.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { world } from '../records/world.ts';

interface Heard extends Notifier {
  got: Message[];
}

function listening(name: string, on: readonly NotifyEvent[] = EVENTS): Heard {
  const got: Message[] = [];
  return { name, type: 'slack', on, timeoutMs: 500, repeatMs: 0, got, open: () => ({ send: async message => void got.push(message) }) };
}

const telling = (notifiers: readonly Notifier[], change: Partial<Telling> = {}): Telling => ({
  notifiers,
  env: 'production',
  verb: 'backup',
  host: 'h',
  run: 'r',
  startedAt: systemClock.now(),
  clock: systemClock,
  redact: text => text.replaceAll('s3cret', '[redacted]'),
  context: () => undefined,
  stack: () => undefined,
  random: bytes => new Uint8Array(bytes),
  ...change,
});

const failed: Outcome = { target: 'redis/app', exit: 'failed', message: 'it said: s3cret is wrong' };

it('CF04: what a message holds of a secret is taken out before any notifier sees it', async () => {
  const all = [listening('a'), listening('b')];
  await tellEnd(telling(all), [failed], [], true);
  expect(all.map(({ got }) => got.map(({ message }) => message))).toEqual([
    ['redis/app: FAILED (failed): it said: [redacted] is wrong'],
    ['redis/app: FAILED (failed): it said: [redacted] is wrong'],
  ]);
});

it('MO01: one that cannot even be opened is told as failed, and the others hear all', async () => {
  const good = listening('good');
  const bad: Notifier = {
    ...listening('bad'),
    open() {
      throw new Error('its s3cret is missing');
    },
  };
  expect(await tellEnd(telling([bad, good]), [failed], [], true)).toEqual([
    { name: 'bad', type: 'slack', ok: false, error: 'its [redacted] is missing' },
    { name: 'good', type: 'slack', ok: true },
  ]);
  expect(good.got).toHaveLength(1);
});

it('a start that did not arrive counts, although the end did', async () => {
  let nth = 0;
  const moody: Notifier = {
    ...listening('moody'),
    open: () => ({
      async send() {
        nth += 1;
        if (nth === 1) throw new Error('not now');
      },
    }),
  };
  const all = telling([moody]);
  const before = await tellStart(all, ['redis/app'], new AbortController().signal);
  expect(await tellEnd(all, [failed], before, true)).toEqual([{ name: 'moody', type: 'slack', ok: false, error: 'not now' }]);
});

it('a start that hangs is given up when the run is ended', async () => {
  const cut = new AbortController();
  const hung: Notifier = {
    ...listening('hung'),
    timeoutMs: 60_000,
    open: () => ({ send: (_, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))) }),
  };
  const started = tellStart(telling([hung]), ['redis/app'], cut.signal);
  cut.abort(new Error('ended'));
  expect(await started).toMatchObject([{ ok: false }]);
});

it('nobody is told of what nobody wants to hear of', async () => {
  const all = [listening('a', ['success']), listening('b', ['start'])];
  expect(await tellEnd(telling(all), [failed], [], true)).toEqual([]);
});

it.each([
  ['backup', 'partial', true],
  ['verify', 'done', true],
  ['verify', 'partial', false],
  ['prune', 'partial', false],
  ['drill', 'partial', false],
] as const)('after a failure a %s that ends with %s is a recovery: %s', async (verb, exit, recovered) => {
  const w = world();
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 15, 2, minute)).toISOString();
  const before: RunRecord = { version: 1, verb, startedAt: at(0), finishedAt: at(1), exit: 'verifyFailed', message: 'a part is gone' };
  await recordRun(w.ctx, [w.store], before, Buffer.from([1, 2, 3]));
  const one = listening('one', ['recovered']);
  const seen = telling([one], { verb, context: () => w.ctx, startedAt: new Date(at(2)) });
  await tellEnd(seen, [{ target: 'fake/app', exit }], [], true);
  expect(one.got).toHaveLength(recovered ? 1 : 0);
});
