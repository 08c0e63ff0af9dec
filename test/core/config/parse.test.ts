import { describe, expect, test } from '@jest/globals';
import { configJsonSchema } from '../../../src/core/config/index.ts';
import { BASE, faults, parse, registry } from './registry.ts';

const app = (settings: string) => BASE.replace('password: "${PW}"', settings);

describe('a config of ten lines is whole', () => {
  test('schedule, rpo, retention, stores and need are filled in', () => {
    const config = parse(BASE);
    expect(config).toMatchObject({ file: 'bkp.yaml', timezone: 'UTC', weekStart: 'sunday', keys: { unencrypted: false } });
    expect(config.environments['production']!.targets['postgres']!['app']).toMatchObject({
      stores: ['local', 'offsite'],
      need: 1,
      schedule: '0 2 * * *',
      rpo: '15m',
      retention: { daily: 30, weekly: 12, monthly: 12, wal: '30d' },
      port: 5432,
      password: '${PW}',
    });
  });

  test('a rule that is named leaves the others as they are built in', () => {
    const { retention } = parse(app('retention: { daily: 7 }')).environments['production']!.targets['postgres']!['app']!;
    expect(retention).toEqual({ daily: 7, weekly: 12, monthly: 12, wal: '30d' });
  });

  test.each(['/a/b', 'a/b/', 'a//b'])('S18: prefix %s is a/b', prefix => {
    expect(parse(BASE.replace('    stores:', `    prefix: ${prefix}\n    stores:`)).environments['production']!.prefix).toBe('a/b');
  });

  test('a name that would be left out in silence is refused', () => {
    expect(faults(BASE.replace(/^( +)app:/m, '$1__proto__:'))).toEqual([
      expect.stringMatching(/^bkp.yaml:\d+:\d+: __proto__ cannot be a name here/),
    ]);
  });

  test('keys without recipients must say so', () => {
    expect(parse(BASE.replace('recipients: [age1qqq]', 'unencrypted: true')).keys.recipients).toEqual([]);
    expect(faults(BASE.replace('recipients: [age1qqq], ', ''))).toEqual([
      expect.stringMatching(/^bkp.yaml:1:1: keys.recipients: .*unencrypted/),
    ]);
  });
});

describe('one fault, its place and what is allowed', () => {
  test.each([
    ['an empty file', '', /^bkp.yaml:1:1: the config is empty/],
    ['only a comment', '# nothing\n', /^bkp.yaml:1:1: the config is empty/],
    ['a tab in the indentation', 'keys:\n\trecipients: []\n', /^bkp.yaml:2:1: a tab .* allowed are spaces/],
    ['a duplicate key', `${BASE}      app: { engine: native }\n`, /^bkp.yaml:9:7: .*twice/],
    ['an unknown key', app('pasword: x'), /^bkp.yaml:8:30: .*app: unknown key "pasword"; did you mean "password"\? allowed: .*host/],
    ['a kind that is not built in', `${BASE}    redis: {}\n`, /^bkp.yaml:9:5: .*unknown key "redis".* allowed: .*postgres/],
    ['text for a number', app('port: abc'), /^bkp.yaml:8:36: .*port: "abc" .*whole number from 1 to 65535/],
    ['a duration without a unit', app('rpo: 15'), /^bkp.yaml:8:35: .*rpo: 15 is no duration; .*15m/],
    ['a schedule that is none', app('schedule: "61 2 * * *"'), /schedule: "61 2 \* \* \*" is no schedule; allowed/],
    ['a window of nothing', app('retention: { wal: 0d }'), /retention\.wal: 0d is no window; allowed is a duration above 0/],
    [
      'an order of full-dr after nothing',
      app('fullDr: { after: [postgre] }'),
      /fullDr\.after\.0: "postgre" is no kind and no entry here; did you mean "postgres"/,
    ],
    [
      'an order of full-dr in a circle',
      `${app('fullDr: { after: [postgres/two] }')}      two: { engine: native, fullDr: { after: [postgres/app] } }\n`,
      /full-dr would wait for ever: postgres\/app after postgres\/two after postgres\/app/,
    ],
    [
      'an option of the restore that its kind has not',
      app('fullDr: { options: { path: /srv } }'),
      /^bkp.yaml:8:\d+: .*fullDr\.options\.path: is no option of postgres; nothing is allowed here/,
    ],
    ['a schedule that never comes', app('schedule: "0 0 30 2 *"'), /is no schedule; allowed/],
    ['a zone that is none', `timezone: Mars/Phobos\n${BASE}`, /^bkp.yaml:1:11: timezone: "Mars\/Phobos" is no time zone; allowed/],
    ['an offset as a zone', `timezone: "+02:00"\n${BASE}`, /is no time zone/],
    [
      'a store that is not defined',
      app('stores: [local, ofsite]'),
      /^bkp.yaml:8:46: .*store "ofsite" is not defined; did you mean "offsite"/,
    ],
    [
      'a WAL store that is not of the entry',
      app('stores: [local], wal: { stores: [offsite] }'),
      /wal.stores.0: store "offsite" is not defined/,
    ],
    [
      'two stores in one place',
      BASE.replace('/mnt/offsite', '/srv//bkp/'),
      /^bkp.yaml:6:7: .*offsite: is the place of store "local"; allowed/,
    ],
    ['more copies than stores', app('need: 3'), /need: 3 is more than the entry has stores; allowed is 1 to 2/],
    [
      'an unknown type of store',
      BASE.replace('directory', 'directry'),
      /^bkp.yaml:5:22: .*local.type: "directry" is unknown; did you mean "directory"/,
    ],
    ['a name that is none', BASE.replace('app:', 'App:'), /^bkp.yaml:8:7: .*App: is no name; allowed/],
    [
      'an environment that is not there',
      `defaultEnv: prod\n${BASE}`,
      /^bkp.yaml:1:13: defaultEnv: environment "prod" is not defined; allowed: production/,
    ],
    ['a reference that is none', app('host: "${a b}"'), /^bkp.yaml:8:36: .*host: holds a "\$\{" that is no reference; allowed/],
    [
      'a key of another sort',
      BASE.replace('age1qqq', 'AGE-SECRET-KEY-1X'),
      /^bkp.yaml:1:22: keys.recipients.0: is no such key; allowed .*age1$/,
    ],
    ['a missing setting', BASE.replace('engine: native, ', ''), /app.engine: is missing; allowed: native/],
  ])('%s', (_what, text, line) => {
    expect(faults(text)).toEqual([expect.stringMatching(line)]);
  });

  test('a secret is not repeated', () => {
    expect(faults(app('password: 12345678')).join()).not.toContain('12345678');
  });
});

describe('retention', () => {
  test.each(['abc', '""', '30d', '-1', '', '1.5'])('RT20: daily: %s is refused with its line and column', value => {
    expect(faults(app(`retention: { daily: ${value} }`))).toEqual([
      expect.stringMatching(/^bkp.yaml:8:\d+: .*retention.daily: .*whole number/),
    ]);
  });

  test('RT08: rules that keep nothing are refused', () => {
    expect(faults(app('retention: { daily: 0, weekly: 0, monthly: 0, within: 0d }'))).toEqual([
      expect.stringMatching(/^bkp.yaml:8:30: .*retention: keeps nothing/),
    ]);
    expect(parse(app('retention: { daily: 0, weekly: 0, monthly: 0, last: 1 }'))).toBeDefined();
  });
});

test('every fault is told at once, in the order of the file', () => {
  const text = `${app('port: abc, stores: [nowhere], retention: { daily: 0, weekly: 0, monthly: 0 }')}      app: { engin: native, need: 9 }\ntimezone: X\n`;
  const lines = faults(text.replace('native, port', 'nativ, port').replace('      app: { engin', '      b: { engin'));
  expect(lines.map(line => Number(line.split(':')[1]))).toEqual([8, 8, 8, 8, 9, 9, 9, 10]);
});

test('an unknown key is told once beside a type that is unknown', () => {
  const stores = '    stores:\n      third: { type: directory, path: /x, lok: 1 }\n      fourth: { type: directry, path: /y }';
  const lines = faults(BASE.replace('    stores:', stores));
  expect(lines.filter(line => line.includes('"lok"'))).toHaveLength(1);
  expect(lines.filter(line => line.includes('directry'))).toHaveLength(1);
});

test('the JSON Schema names every setting and allows no other', () => {
  const schema = JSON.parse(JSON.stringify(configJsonSchema(registry)));
  const env = schema.properties.environments.additionalProperties;
  expect(env.additionalProperties).toBe(false);
  expect(Object.keys(env.properties.postgres.additionalProperties.properties)).toEqual(
    expect.arrayContaining(['engine', 'stores', 'need', 'schedule', 'retention', 'rpo']),
  );
  expect(schema.required).toEqual(['keys', 'environments']);
});

describe('<<: *anchor', () => {
  const TWO = (first: string, second: string) => `${BASE.replace('app: {', `app: &app { ${first}`)}      two: { <<: *app${second} }\n`;

  test('takes the settings of another entry, of which its own ones win', () => {
    const { app, two } = parse(TWO('rpo: 20m, need: 2, ', ', need: 1')).environments['production']!.targets['postgres']!;
    expect(app).toMatchObject({ rpo: '20m', need: 2 });
    expect(two).toMatchObject({ rpo: '20m', need: 1, password: '${PW}', engine: 'native' });
  });

  test('takes from several, of which the first wins', () => {
    const text = `${TWO('rpo: 20m, ', '')}      three: { <<: [{ rpo: 30m }, *app] }\n`;
    expect(parse(text).environments['production']!.targets['postgres']!['three']).toMatchObject({ rpo: '30m', engine: 'native' });
  });

  test('a fault in what is taken is told where it is written, one of its own where that is', () => {
    expect(faults(TWO('rpo: 15, ', ', port: abc'))).toEqual([
      expect.stringMatching(/^bkp.yaml:8:24: .*postgres\.app\.rpo: 15 is no duration/),
      expect.stringMatching(/^bkp.yaml:8:24: .*postgres\.two\.rpo: 15 is no duration/),
      expect.stringMatching(/^bkp.yaml:9:30: .*postgres\.two\.port: "abc"/),
    ]);
    expect(faults(TWO('pasword: x, ', ''))).toContainEqual(expect.stringMatching(/^bkp.yaml:8:19: .*two: unknown key "pasword"/));
  });

  test('that leads to no map is told where it stands', () => {
    expect(faults(`${BASE}      two: { <<: 5 }\n`)).toEqual([
      expect.stringMatching(/^bkp.yaml:9:14: << takes the settings of a map; allowed is <<: \*ANCHOR/),
    ]);
  });
});
