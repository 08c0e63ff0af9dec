import { expect, it } from '@jest/globals';
import { parseConfig } from '../../../../src/core/config/index.ts';
import { stores } from '../../../../src/providers/stores/index.ts';
import { targets } from '../../../../src/providers/targets/index.ts';

const parse = (settings: string) =>
  parseConfig(
    `keys: { unencrypted: true }
environments:
  production:
    stores:
      local: { type: directory, path: /srv/bkp }
    postgres:
      app: { ${settings} }
`,
    'bkp.yaml',
    { kinds: targets, stores },
  ).environments['production']!.targets['postgres']!['app']!;

it.each([
  ['daily between weekly full ones, by the built-in schedule', 'engine: native, full: weekly, incremental: daily'],
  ['full ones are weekly unless named', 'engine: native, incremental: daily'],
  ['hourly', 'engine: native, full: daily, incremental: hourly, schedule: "7 * * * *"'],
  ['more often than named', 'engine: native, full: monthly, incremental: daily, schedule: "0 */6 * * *", maxChain: 200'],
])('takes %s', (_, settings) => {
  expect(parse(settings)['incremental']).toMatch(/daily|hourly/);
});

it.each([
  ['full ones without increments', 'engine: native, full: weekly', /app\.full: "weekly" says nothing alone/],
  [
    'no room between full ones',
    'engine: native, full: daily, incremental: daily',
    /app\.full: "daily" leaves no room for daily increments/,
  ],
  [
    'a schedule that runs less often',
    'engine: native, incremental: hourly',
    /app\.incremental: "hourly" is more often than the schedule "0 2 \* \* \*"/,
  ],
  [
    'weekdays alone',
    'engine: native, incremental: daily, schedule: "0 2 * * 1-5"',
    /app\.incremental: "daily" is more often than the schedule/,
  ],
  ['another word', 'engine: native, incremental: yearly', /app\.incremental: this value is unknown; allowed: hourly, daily, weekly/],
  ['a chain of one', 'engine: native, incremental: daily, maxChain: 1', /app\.maxChain: 1/],
  ['WAL-G, which has its own', 'engine: wal-g, incremental: daily', /unknown key "incremental"/],
])('refuses %s', (_, settings, words) => {
  expect(() => parse(settings)).toThrow(words);
});
