import { describe, expect, it } from '@jest/globals';
import type { Environment } from '../../src/core/config/types.ts';
import { environmentLockGaps, lockGaps, longestKept } from '../../src/core/lock.ts';

const DAY = 86_400_000;

describe('how long a policy keeps', () => {
  it.each([
    [{ daily: 30, weekly: 12, monthly: 12 }, 'monthly: 12', 372],
    [{ weekly: 4, within: 90 * DAY }, 'within', 90],
    [{ hourly: 48, window: 30 * DAY }, 'wal', 30],
    [{ yearly: 2, monthly: 12 }, 'yearly: 2', 732],
  ])('%j: %s, %i days', (policy, rule, days) => expect(longestKept(policy)).toEqual({ rule, ms: days * DAY }));

  it('a count alone says nothing of time', () => expect(longestKept({ last: 5 })).toBeUndefined());
});

it('a lock that is shorter than the retention is told, one as long is not', () => {
  const retention = { daily: 30, weekly: 0, monthly: 0, wal: '30d' };
  expect(lockGaps({ retention }, 30 * DAY)).toEqual([]);
  expect(lockGaps({ retention }, 29 * DAY)).toEqual([
    'what is put is held for 29 days, and retention keeps up to 30 days (daily: 30): what is older can be removed by whoever has the key of the store',
  ]);
});

it('what other programs store is told, whatever the days', () => {
  expect(lockGaps({ retention: {}, engine: 'wal-g' }, 1e15)).toEqual([expect.stringMatching(/^WAL-G puts .* not held/)]);
  expect(lockGaps({ retention: {}, engine: 'files' }, 1e15)).toEqual([expect.stringMatching(/^restic puts /)]);
});

it('each entry is held against the stores that it has', () => {
  const entry = { retention: { daily: 30 }, stores: ['local', 'offsite'] };
  const env = {
    name: 'production',
    stores: { local: { type: 'directory' }, offsite: { type: 's3', lock: { mode: 'governance', days: 7 } } },
    targets: { redis: { app: entry, other: { ...entry, stores: ['local'] } } },
  } as unknown as Environment;
  expect(environmentLockGaps(env)).toEqual([
    expect.stringMatching(/^environments\.production\.stores\.offsite\.lock, for redis\/app: what is put is held for 7 days/),
  ]);
});
