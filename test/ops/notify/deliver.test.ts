import { expect, it } from '@jest/globals';
import { Undelivered } from '../../../src/core/notify/types.ts';
import { deliver, type Notifier, worstOf } from '../../../src/ops/notify/deliver.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { aMessage } from '../../core/notify/message.ts';

const notifier = (send: (signal: AbortSignal, nth: number) => Promise<void>, timeoutMs = 2000): Notifier & { tries(): number } => {
  let tries = 0;
  return {
    name: 'ops',
    type: 'slack',
    on: ['failure'],
    timeoutMs,
    repeatMs: 0,
    tries: () => tries,
    open: () => ({
      send: (_, signal) => {
        tries += 1;
        return send(signal, tries);
      },
    }),
  };
};

const hang = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
const tell = (to: Notifier) => deliver(to, aMessage(), systemClock, text => text.replaceAll('s3cret', '[redacted]'));

it('tries again what may pass, and not what stays', async () => {
  const passing = notifier(async (_, nth) => {
    if (nth < 2) throw new Undelivered('busy', { again: true });
  });
  expect([await tell(passing), passing.tries()]).toEqual([{ name: 'ops', type: 'slack', ok: true }, 2]);
  const staying = notifier(async () => {
    throw new Undelivered('gone, s3cret', { again: false });
  });
  expect([await tell(staying), staying.tries()]).toEqual([{ name: 'ops', type: 'slack', ok: false, error: 'gone, [redacted]' }, 1]);
});

it('one that hangs costs no more than its time-out', async () => {
  const hung = notifier(hang, 900);
  expect(await tell(hung)).toMatchObject({ ok: false, error: 'it gave no answer in 450 ms' });
  expect(hung.tries()).toBe(1);
});

it('one that wants to be left alone for longer than there is time is given up at once', async () => {
  const busy = notifier(async () => {
    throw new Undelivered('429', { again: true, waitMs: 3_600_000 });
  });
  // That it ends at all shows that nobody waited: an hour is more than a test may take.
  expect(await tell(busy)).toMatchObject({ ok: false });
  expect(busy.tries()).toBe(1);
});

it('a defect of a notifier is a failure of it and of nothing else', async () => {
  expect(
    await tell(
      notifier(() => {
        throw new TypeError('x is undefined');
      }),
    ),
  ).toMatchObject({ ok: false, error: 'x is undefined' });
});

it('of several messages to one notifier the one that did not arrive counts', () => {
  const [good, bad] = [
    { name: 'a', type: 'slack', ok: true },
    { name: 'a', type: 'slack', ok: false, error: 'e' },
  ];
  expect([worstOf([good!, bad!]), worstOf([bad!, good!])]).toEqual([[bad], [bad]]);
});
