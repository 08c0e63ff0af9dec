import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EXIT, type ExitName } from '../../../src/core/errors.ts';
import { endMessage, redacted } from '../../../src/core/notify/message.ts';
import { EVERYTHING, eventsOf, heard } from '../../../src/core/notify/select.ts';
import { EVENTS, type NotifyEvent, type Outcome } from '../../../src/core/notify/types.ts';

const about = { env: 'production', verb: 'backup', host: 'h', seconds: 1, at: '2026-01-15T02:00:00.000Z', run: 'r' };

const outcome = fc.record({
  target: fc.constantFrom('redis/app', 'redis/other', 'postgres/app', 'full-dr'),
  exit: fc.constantFrom(...(Object.keys(EXIT) as ExitName[])),
  recovered: fc.boolean(),
}) as fc.Arbitrary<Outcome>;

const on = fc.subarray<NotifyEvent>([...EVENTS], { minLength: 1 });

it('a run of which one target failed is never told as a good one', () => {
  fc.assert(
    fc.property(fc.array(outcome, { minLength: 1 }), on, (outcomes, wanted) => {
      const { all, told } = heard(outcomes, { on: wanted });
      if (told.length === 0) return;
      const message = endMessage(about, all, told, wanted);
      const bad = all.some(each => eventsOf(each).includes('failure'));
      expect({ bad, fine: message.code === 0 && bad }).toEqual({ bad, fine: false });
      expect(wanted).toContain(message.event);
    }),
  );
});

it('who wants to hear of failures hears of each, whatever else ended how', () => {
  fc.assert(
    fc.property(fc.array(outcome), outcomes => {
      const { told } = heard(outcomes, { on: ['failure'] });
      expect(told).toEqual(outcomes.filter(({ exit }) => !['done', 'partial', 'aborted'].includes(exit)));
    }),
  );
});

it('what a person broke off is nothing to tell', () => {
  expect(heard([{ target: 'redis/app', exit: 'aborted' }], { on: [...EVENTS] }).told).toEqual([]);
});

it('a kind is all of its entries, an entry is itself, and what has no target yet concerns everybody', () => {
  const of = (targets: string[], target: string) => heard([{ target, exit: 'failed' }], { on: ['failure'], targets }).told.length;
  expect([of(['redis'], 'redis/app'), of(['redis/app'], 'redis/app'), of(['redis/a'], 'redis/app'), of(['red'], 'redis/app')]).toEqual([
    1, 1, 0, 0,
  ]);
  expect([of(['redis'], EVERYTHING), of(['full-dr'], 'full-dr'), of(['redis'], 'full-dr')]).toEqual([1, 1, 0]);
});

it('a message is cut where services would refuse it, once its secrets are out: none is cut in two', () => {
  const redact = (text: string): string => text.replaceAll('s3cret-word', '[redacted]');
  for (const before of [2900, 2980, 2990, 2999]) {
    const outcomes: Outcome[] = [
      { target: 'redis/app', exit: 'failed', message: `${'x'.repeat(before)}s3cret-word${'x'.repeat(100_000)}` },
    ];
    const { message } = redacted(endMessage(about, outcomes, outcomes, ['failure']), redact);
    expect(message.length).toBeLessThan(3100);
    expect(message).not.toContain('s3c');
  }
});
