import { expect, test } from '@jest/globals';
import type { StatusReport } from '../../src/core/status/types.ts';
import { statusText } from '../../src/report/statusText.ts';

const report: StatusReport = {
  env: 'production',
  at: '2026-01-15T12:00:00.000Z',
  drills: {
    state: 'late',
    why: [{ state: 'late', text: 'postgres/app is to be drilled every 35 d' }],
    everySeconds: 3_024_000,
    last: {
      id: '20251101T040000Z-4f2a1c',
      scope: 'full-dr',
      drilledIn: 'staging',
      finishedAt: '2025-11-01T04:10:00.000Z',
      result: 'passed',
      failed: [],
    },
  },
  targets: [
    {
      kind: 'postgres',
      name: 'app',
      state: 'failing',
      schedule: '0 2 * * *',
      rpoSeconds: 900,
      source: { state: 'unknown', why: [{ state: 'unknown', text: 'the source could not be asked:\n\trefused' }], checks: [] },
      stores: [
        {
          store: 'local',
          up: true,
          state: 'late',
          why: [
            { state: 'late', text: 'the newest log is old' },
            { state: 'ok', text: '2 older backups are damaged' },
          ],
          newest: {
            id: '20260115T020000Z-4f2a1c',
            startedAt: '2026-01-15T02:00:00.000Z',
            finishedAt: '2026-01-15T02:01:00.000Z',
            recoveryPointAt: '2026-01-15T02:01:00.000Z',
            bytes: 3 * 1024 ** 2,
            trendPercent: -3,
          },
          nextDue: '2026-01-16T02:00:00.000Z',
          recoveryPointAt: '2026-01-15T11:00:00.000Z',
          log: { lineage: '7-1', at: '2026-01-15T11:00:00.000Z', end: '0/1', lagSeconds: 3600, lagBytes: 2048 },
          backups: 31,
          damaged: 2,
          bytes: 5 * 1024 ** 3,
          hidden: { objects: 1, bytes: 1024 },
          runs: { verify: { successAt: '2026-01-14T12:00:00.000Z' } },
        },
        {
          store: 'offsite',
          up: false,
          state: 'failing',
          why: [{ state: 'failing', text: 'store offsite is not there' }],
          nextDue: '2026-01-16T02:00:00.000Z',
          backups: 0,
          damaged: 0,
          bytes: 0,
          runs: {},
        },
      ],
    },
  ],
};

test('a line per store, source and finding, exact instants beside ages, and what is red at the end', () => {
  expect(statusText(report, { color: false })).toEqual([
    'STATE    TARGET        STORE     NEWEST BACKUP                    RECOVERY POINT                  LOG BEHIND',
    'late     postgres/app  local     10 h ago (2026-01-15 02:00:00Z)  1 h ago (2026-01-15 11:00:00Z)  1 h, 2.0 KiB',
    'failing  postgres/app  offsite   -                                -                               -',
    'unknown  postgres/app  (source)',
    '',
    'TARGET        STORE  SIZE            KEPT                            NEXT DUE',
    'postgres/app  local  3.0 MiB (-3 %)  31, 5.0 GiB and 1.0 KiB hidden  in 14 h (2026-01-16 02:00:00Z)',
    '',
    'TARGET        STORE  LAST GOOD VERIFY                PRUNE  DRILL',
    'postgres/app  local  1 d ago (2026-01-14 12:00:00Z)  -      -',
    '',
    'last drill: full-dr in staging, passed, 75 d ago (2025-11-01 04:10:00Z)',
    '',
    'note     postgres/app in local: 2 older backups are damaged',
    'unknown  postgres/app: the source could not be asked: refused',
    'late     postgres/app in local: the newest log is old',
    'failing  postgres/app in offsite: store offsite is not there',
    'late     drills: postgres/app is to be drilled every 35 d',
    '3 of 4 red, 1 unknown',
  ]);
});

test('colours repeat what words say, and without them the text is the same', () => {
  const colored = statusText(report, { color: true });
  expect(colored.join('\n')).toContain('\u001b[31mlate\u001b[39m');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a colour is
  expect(colored.map(line => line.replace(/\u001b\[\d+m/g, ''))).toEqual(statusText(report, { color: false }));
});
