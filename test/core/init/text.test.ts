import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import { registry } from '../../../src/app.ts';
import { missingSecrets, parseConfig } from '../../../src/core/config/index.ts';
import { parseStore } from '../../../src/core/init/store.ts';
import { configText, type Found, type StoreChoice, variablesOf } from '../../../src/core/init/text.ts';

const keys = 'keys:\n  recipients: [age1x]\n  trusted: [bkp-ed25519-x]';
const none: Found = { postgres: [], redis: [], samba: false, kubectl: false };
const local: StoreChoice = { name: 'local', type: 'directory', place: '/srv/backup' };

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const port = fc.integer({ min: 1, max: 65_535 });
/** Where it lies, whatever it is called. */
const placeOf = ({ name: _, ...place }: StoreChoice): string => JSON.stringify(place);
const named = <T extends { name: string }>(of: fc.Arbitrary<T>) => fc.uniqueArray(of, { maxLength: 3, selector: each => each.name });
const found: fc.Arbitrary<Found> = fc.record(
  {
    postgres: named(fc.record({ name, host: fc.constantFrom('/var/run/postgresql', '/tmp/a b', '10.0.0.1'), port, walg: fc.boolean() })),
    redis: named(fc.record({ name, port, password: fc.boolean() })),
    etcd: fc.constantFrom({ flavor: 'k3s' as const }, { flavor: 'etcd' as const, endpoint: 'https://127.0.0.1:2379' }),
    samba: fc.boolean(),
    kubectl: fc.boolean(),
  },
  { requiredKeys: ['postgres', 'redis', 'samba', 'kubectl'] },
);
const store: fc.Arbitrary<StoreChoice> = fc.oneof(
  fc.record({ name, type: fc.constant('directory' as const), place: fc.constantFrom('/srv/backup', '/srv/with space', '/on') }),
  fc.record({
    name,
    type: fc.constantFrom('hetzner' as const, 'b2' as const),
    place: fc.constantFrom('bucket', '1234', 'true'),
    region: fc.constantFrom('fsn1', 'eu-central-003'),
  }),
  fc.record({
    name,
    type: fc.constant('s3' as const),
    place: fc.constant('bucket'),
    region: fc.constant('r'),
    endpoint: fc.constant('https://s3.example.org:9000'),
  }),
);

test('whatever is found and chosen, the config is read without a fault, and every secret in it is a variable that was named', () => {
  fc.assert(
    fc.property(
      found,
      fc.uniqueArray(store, { minLength: 1, maxLength: 3, comparator: (a, b) => a.name === b.name || placeOf(a) === placeOf(b) }),
      (seen, stores) => {
        const choices = { env: 'production', stores, keys, timezone: 'UTC' };
        const config = parseConfig(configText(seen, choices), 'bkp.yaml', registry);
        expect(Object.keys(config.environments['production']!.stores).sort()).toEqual(stores.map(each => each.name).sort());
        expect(Object.keys(config.environments['production']!.targets['postgres']!)).toEqual(
          expect.arrayContaining(seen.postgres.map(each => each.name)),
        );
        const referred = [...JSON.stringify(config).matchAll(/\$\{([A-Z0-9_]+)\}/g)].map(([, variable]) => variable!);
        expect([...new Set(referred)].sort()).toEqual([...new Set(variablesOf(seen, choices))].sort());
      },
    ),
    { numRuns: 60 },
  );
});

describe('what was found', () => {
  it('wal-g on PATH is the engine, else PostgreSQL of its own tools', () => {
    const text = (walg: boolean) =>
      configText(
        { ...none, postgres: [{ name: 'app', host: '/var/run/postgresql', port: 5432, walg }] },
        { env: 'p', stores: [local], keys, timezone: 'UTC' },
      );
    expect(text(true)).toContain('engine: wal-g');
    expect(text(false)).toContain('engine: native');
  });
});

describe('a store as it is typed', () => {
  it.each([
    ['local=directory:/srv/backup', { name: 'local', type: 'directory', place: '/srv/backup' }],
    ['h=hetzner:b@fsn1', { name: 'h', type: 'hetzner', place: 'b', region: 'fsn1' }],
    [
      'm=s3:b@us-east-1,https://s3.example.org:9000',
      { name: 'm', type: 's3', place: 'b', region: 'us-east-1', endpoint: 'https://s3.example.org:9000' },
    ],
  ])('%s', (text, wanted) => expect(parseStore(text)).toEqual(wanted));

  it.each(['', 'x', 'local=directory:srv', 'Local=directory:/srv', 'b=b2:bucket', 'm=s3:b@r', 'b=b2:b@r,https://x', 'x=ftp:/srv'])(
    '"%s" is refused with examples',
    text => {
      expect(() => parseStore(text)).toThrow(
        expect.objectContaining({ exit: 'usage', next: expect.arrayContaining(['--store local=directory:/srv/backup']) }),
      );
    },
  );
});

test('the variables that are named are the ones that `config check` misses', () => {
  const choices = { env: 'production', stores: [{ name: 'offsite', type: 'b2' as const, place: 'b', region: 'r' }], keys, timezone: 'UTC' };
  const config = parseConfig(configText(none, choices), 'bkp.yaml', registry);
  const missing = missingSecrets(config, { env: () => undefined, file: () => undefined } as never);
  expect(missing.length).toBe(2);
});
