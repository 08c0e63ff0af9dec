import { expect, it } from '@jest/globals';
import { forecastOf, lastRto } from '../../src/core/forecast.ts';

const target = (kind: string, rtoSeconds?: number) => ({
  kind,
  name: 'main',
  engine: 'e',
  wave: 0,
  result: 'passed' as const,
  checks: [],
  ...(rtoSeconds === undefined ? {} : { rtoSeconds }),
});
const parts = [
  { kind: 'etcd', name: 'main', after: [] },
  { kind: 'volumes', name: 'main', after: [] },
  { kind: 'postgres', name: 'main', after: ['etcd'] },
];

it('the slowest of each wave, by the newest drill that says it', () => {
  const rto = lastRto([
    { targets: [target('etcd', 5), target('postgres', 100)] },
    { targets: [target('etcd', 7), target('volumes', 20), target('postgres')] },
  ]);
  expect(forecastOf(parts, rto)).toEqual({ seconds: 120, unknown: [] });
});

it('what was never drilled is named, and is not taken for nothing', () => {
  expect(forecastOf(parts, lastRto([{ targets: [target('etcd', 7)] }]))).toEqual({
    seconds: 7,
    unknown: ['volumes/main', 'postgres/main'],
  });
});
