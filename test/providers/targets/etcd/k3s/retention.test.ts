import { expect, it } from '@jest/globals';
import { keptMs, retentionCheck } from '../../../../../src/providers/targets/etcd/k3s/doctor.ts';

const NOW = new Date('2026-01-15T03:00:00Z');
const HOUR = 3_600_000;

it('a snapshot of K3s stays for as many runs of its schedule as are kept', () => {
  expect(keptMs('0 */12 * * *', 5, NOW)).toBe(60 * HOUR);
  expect(keptMs('0 * * * *', 3, NOW)).toBe(3 * HOUR);
});

it.each([
  [{}, 'ok'],
  [{ 'etcd-snapshot-retention': 2 }, 'ok'],
  [{ 'etcd-snapshot-retention': 1 }, 'warn'],
  [{ 'etcd-snapshot-schedule-cron': '*/30 * * * *' }, 'warn'],
  [{ 'etcd-snapshot-schedule-cron': 'every day' }, 'warn'],
  [{ 'etcd-disable-snapshots': true }, 'warn'],
])('%j: %s', (settings, state) => {
  expect(retentionCheck(settings, NOW).state).toBe(state);
});

it('says how many would be enough', () => {
  const { mend } = retentionCheck({ 'etcd-snapshot-schedule-cron': '0 * * * *', 'etcd-snapshot-retention': 3 }, NOW);
  expect(mend).toContain('etcd-snapshot-retention: 24');
});
