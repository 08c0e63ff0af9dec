import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { inSample } from '../../src/core/sample.ts';

const DAY = 86_400_000;

it('has seen every name after as many daily runs as there are groups, and each only once', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.integer({ min: 1, max: 100 }),
      fc.date({ min: new Date(0), max: new Date(4e12) }),
      (name, percent, first) => {
        fc.pre(!Number.isNaN(first.getTime()));
        const groups = Math.max(1, Math.round(100 / percent));
        const days = Array.from({ length: groups }, (_, n) => new Date(first.getTime() + n * DAY));
        expect(days.filter(day => inSample(name, percent, day))).toHaveLength(1);
      },
    ),
  );
});

it('takes about its share of the names', () => {
  const names = Array.from({ length: 20_000 }, (_, n) => `bkp/production/postgres/app/backups/x/base.tar.zst.age.000#${n}`);
  const taken = names.filter(name => inSample(name, 5, new Date('2026-01-15T00:00:00Z'))).length;
  expect(taken).toBeGreaterThan(600);
  expect(taken).toBeLessThan(1400);
});
