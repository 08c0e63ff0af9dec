import { spawnSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import type { StatusReport, StoreStatus, TargetStatus } from '../../src/core/status/types.ts';
import { metricsText } from '../../src/report/metrics.ts';

const AT = '2026-01-15T12:00:00.000Z';
const SECONDS = Date.parse(AT) / 1000;

const store = (change: Partial<StoreStatus> = {}): StoreStatus => ({
  store: 'offsite',
  up: true,
  state: 'ok',
  why: [],
  newest: { id: '20260115T020000Z-4f2a1c', startedAt: AT, finishedAt: AT, recoveryPointAt: AT, bytes: 500 },
  nextDue: AT,
  recoveryPointAt: AT,
  log: { lineage: '7-1', at: AT, end: '0/3000000', lagSeconds: 12.5, lagBytes: 4096 },
  backups: 3,
  damaged: 1,
  bytes: 9000,
  hidden: { objects: 2, bytes: 70 },
  runs: {
    backup: { failureAt: AT },
    prune: { successAt: AT, failureAt: AT },
    verify: { successAt: AT },
    drill: { successAt: AT },
  },
  ...change,
});

const report = (stores: readonly StoreStatus[], change: Partial<TargetStatus> = {}): StatusReport => ({
  env: 'production',
  at: AT,
  targets: [{ kind: 'postgres', name: 'app', state: 'ok', schedule: '0 2 * * *', rpoSeconds: 900, stores, ...change }],
  drills: { state: 'ok', why: [] },
});

const LABELS = '{env="production",kind="postgres",name="app",store="offsite"}';

/** Series → value. */
const seriesOf = (text: string): Record<string, number> =>
  Object.fromEntries(
    text
      .split('\n')
      .filter(line => line !== '' && !line.startsWith('#'))
      .map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );

const promtool = (text: string) => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  return { status, words: `${stdout}${stderr}` };
};

describe('the figures for Prometheus', () => {
  it('all of them, by name, in seconds and bytes', async () => {
    const source = { state: 'failing' as const, why: [], checks: [{ name: 'archiver', state: 'fail' as const, text: 'fails' }] };
    const named = (name: string) => `${name}${LABELS}`;
    expect(seriesOf(await metricsText(report([store()], { source })))).toEqual({
      [named('bkp_store_up')]: 1,
      [named('bkp_failing')]: 0,
      [named('bkp_late')]: 0,
      [named('bkp_rpo_seconds')]: 900,
      [named('bkp_backup_last_success_timestamp_seconds')]: SECONDS,
      [named('bkp_backup_last_failure_timestamp_seconds')]: SECONDS,
      [named('bkp_recovery_point_timestamp_seconds')]: SECONDS,
      [named('bkp_log_lag_seconds')]: 12.5,
      [named('bkp_log_lag_bytes')]: 4096,
      [named('bkp_backups')]: 3,
      [named('bkp_backups_damaged')]: 1,
      [named('bkp_backup_size_bytes')]: 500,
      [named('bkp_store_bytes')]: 9000,
      [named('bkp_store_hidden_bytes')]: 70,
      [named('bkp_backup_next_due_timestamp_seconds')]: SECONDS,
      [named('bkp_verify_last_success_timestamp_seconds')]: SECONDS,
      [named('bkp_prune_last_success_timestamp_seconds')]: SECONDS,
      [named('bkp_prune_last_failure_timestamp_seconds')]: SECONDS,
      [named('bkp_drill_last_success_timestamp_seconds')]: SECONDS,
      'bkp_source_up{env="production",kind="postgres",name="app"}': 1,
      'bkp_source_check_ok{env="production",kind="postgres",name="app",check="archiver"}': 0,
      'bkp_status_timestamp_seconds{env="production"}': SECONDS,
    });
  });

  it('drills are figures only where they are asked for', async () => {
    const of = async (drills: StatusReport['drills']) =>
      Object.entries(seriesOf(await metricsText({ ...report([store()]), drills }))).filter(([name]) =>
        /^bkp_drill_(late|failing)/.test(name),
      );
    expect(await of({ state: 'failing', why: [{ state: 'failing', text: 'x' }] })).toEqual([]);
    expect(await of({ state: 'failing', why: [{ state: 'failing', text: 'x' }], everySeconds: 1 })).toEqual([
      ['bkp_drill_late{env="production"}', 0],
      ['bkp_drill_failing{env="production"}', 1],
    ]);
    expect(await of({ state: 'late', why: [{ state: 'late', text: 'x' }], everySeconds: 1 })).toEqual([
      ['bkp_drill_late{env="production"}', 1],
      ['bkp_drill_failing{env="production"}', 0],
    ]);
  });

  it('the kit is late only where one is asked for, and its instants are given where they are known', async () => {
    const of = async (kit: NonNullable<StatusReport['kit']>) =>
      Object.entries(seriesOf(await metricsText({ ...report([store()]), kit }))).filter(([name]) => name.startsWith('bkp_kit_'));
    expect(await of({ state: 'ok', why: [{ state: 'ok', text: 'x' }] })).toEqual([]);
    const exported = { kit: 'k', at: '1970-01-01T00:00:09.000Z' };
    const proven = { kit: 'k', at: '1970-01-01T00:00:10.000Z', deep: true };
    expect(await of({ state: 'late', why: [{ state: 'late', text: 'x' }], everySeconds: 1, exported, proven })).toEqual([
      ['bkp_kit_late{env="production"}', 1],
      ['bkp_kit_exported_timestamp_seconds{env="production"}', 9],
      ['bkp_kit_proven_timestamp_seconds{env="production"}', 10],
    ]);
  });

  it('pass promtool, nothing of them is said of this process', async () => {
    const text = await metricsText(report([store(), store({ store: 'local' })]));
    expect(promtool(text)).toEqual({ status: 0, words: '' });
    expect(text).not.toMatch(/process_|nodejs_/);
    expect(promtool(text.replaceAll('bkp_backups ', 'bkp_backups_total '))).not.toEqual({ status: 0, words: '' });
  });

  it('late and failing are told apart, also where both are true', async () => {
    const both = store({
      why: [
        { state: 'late', text: 'late' },
        { state: 'failing', text: 'failing' },
      ],
    });
    expect(seriesOf(await metricsText(report([both])))).toMatchObject({ [`bkp_late${LABELS}`]: 1, [`bkp_failing${LABELS}`]: 1 });
  });

  it('what is not known is no series: a store that does not answer, a backup that never was, a source that is silent', async () => {
    const { newest: _n, recoveryPointAt: _r, log: _l, hidden: _h, ...bare } = store();
    const down = { ...bare, up: false, why: [{ state: 'failing' as const, text: 'gone' }], backups: 0, damaged: 0, bytes: 0, runs: {} };
    const text = await metricsText(report([down], { source: { state: 'unknown', why: [], checks: [] } }));
    expect(seriesOf(text)).toEqual({
      [`bkp_store_up${LABELS}`]: 0,
      [`bkp_failing${LABELS}`]: 1,
      [`bkp_late${LABELS}`]: 0,
      [`bkp_rpo_seconds${LABELS}`]: 900,
      'bkp_source_up{env="production",kind="postgres",name="app"}': 0,
      'bkp_status_timestamp_seconds{env="production"}': SECONDS,
    });
    expect(promtool(text)).toEqual({ status: 0, words: '' });
    const { log: _, ...without } = store();
    expect(await metricsText(report([without]))).not.toContain('bkp_log_lag');
  });
});
