import { describe, expect, it } from '@jest/globals';
import { differences, saidBy } from '../../../src/core/kit/said.ts';
import { BASE, faults, parse } from '../config/registry.ts';

const said = (text: string) => saidBy(parse(text), ['production'], value => value);
const since = (text: string) => differences(said(BASE), said(text));
const app = (settings: string) => BASE.replace('password: "${PW}"', settings);

describe('what has changed since a kit', () => {
  it('is nothing where the file says the same in other words', () => {
    expect(since(`# a comment\n${BASE}`)).toEqual([]);
    expect(since(app('port: 5432, password: "${PW}"'))).toEqual([]);
  });

  it('is told by store, entry and kind of key', () => {
    expect(since(app('port: 5433'))).toEqual(['postgres.app is another one than in the kit: postgres.app.password, postgres.app.port']);
    expect(since(BASE.replace('recipients: [age1qqq]', 'recipients: [age1zzz]'))).toEqual([
      'keys.recipients is another one than in the kit: keys.recipients.0',
    ]);
    expect(since(`${BASE}      b: { engine: native, stores: [local] }\n`)).toEqual(['postgres.b is in the config and not in the kit']);
    expect(differences(said(`${BASE}      b: { engine: native }\n`), said(BASE))).toEqual([
      'postgres.b is in the kit and no longer in the config',
    ]);
    expect(since(BASE.replace('    stores:', '    prefix: elsewhere\n    stores:'))).toEqual([
      'prefix is another one than in the kit: prefix',
    ]);
  });

  it.each(['schedule: "0 5 * * *"', 'rpo: 1h', 'retention: { daily: 3 }', 'need: 2', 'alarmBelow: 10', 'pruneShare: 20'])(
    'is not %s, on which no restore depends',
    setting => expect(since(app(`password: "\${PW}", ${setting}`))).toEqual([]),
  );

  it('is not the signing key, which no kit has', () => {
    expect(since(BASE.replace('keys: {', 'keys: { signing: "${S}",'))).toEqual([]);
  });
});

it('kit: in a config names stores that there are, and no other type', () => {
  const kit = (settings: string) => BASE.replace('    stores:\n', `    kit: ${settings}\n    stores:\n`);
  expect(parse(kit('{ stores: { local: { path: /mnt } } }')).environments['production']!.kit).toEqual({
    stores: { local: { path: '/mnt' } },
    include: [],
    maxAge: '90d',
  });
  expect(faults(kit('{ stores: { locl: { path: /mnt } } }'))).toEqual([
    expect.stringMatching(/^bkp.yaml:4:22: .*kit\.stores\.locl: store "locl" is not defined; did you mean "local"/),
  ]);
  expect(faults(kit('{ stores: { local: { type: s3 } } }'))).toEqual([
    expect.stringContaining('kit.stores.local.type: cannot be another one'),
  ]);
  expect(faults(kit('{ include: [etc/x] }'))).toEqual([expect.stringContaining('is no absolute path')]);
});
