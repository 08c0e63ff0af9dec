import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseConfig } from '../../../src/core/config/index.ts';
import { stores } from '../../../src/providers/stores/index.ts';
import { backOff } from '../../../src/providers/stores/s3/retry.ts';
import { b2Settings, hetznerSettings, s3Settings } from '../../../src/providers/stores/s3/settings.ts';
import { registry } from '../../core/config/registry.ts';

const keys = { bucket: 'backups', accessKey: 'id', secretKey: 'secret' };

/** The entry of a store as the config gives it, defaults filled. */
function parsed(entry: object): any {
  const text = JSON.stringify({
    keys: { recipients: ['age1qqq'], trusted: ['bkp-ed25519-x'] },
    environments: { prod: { stores: { far: entry }, postgres: { app: { engine: 'native' } } } },
  });
  return parseConfig(text, 'bkp.yaml', { ...registry, stores }).environments['prod']!.stores['far'];
}

describe('the config of S3 stores', () => {
  it('s3: what is not said', () => {
    expect(s3Settings('far', parsed({ type: 's3', endpoint: 'https://s3.example.test', ...keys }))).toEqual({
      ...keys,
      endpoint: 'https://s3.example.test',
      region: 'us-east-1',
      pathStyle: true,
      connections: 16,
      idleTimeout: 30_000,
      timeout: 600_000,
      retries: 5,
      versions: 'hide',
      conditional: true,
    });
  });

  it('hetzner: the endpoint follows from the region', () => {
    const settings = hetznerSettings('far', parsed({ type: 'hetzner', region: 'fsn1', ...keys }));
    expect(settings).toMatchObject({
      endpoint: 'https://fsn1.your-objectstorage.com',
      region: 'fsn1',
      versions: 'hide',
      conditional: true,
    });
  });

  it('b2: the endpoint follows from the region; versions are deleted, conditions never sent', () => {
    const settings = b2Settings('far', parsed({ type: 'b2', region: 'eu-central-003', ...keys }));
    expect(settings).toMatchObject({ endpoint: 'https://s3.eu-central-003.backblazeb2.com', versions: 'delete', conditional: false });
  });

  it.each(['hetzner', 'b2'])('%s: another endpoint may be said', type => {
    const settings = { hetzner: hetznerSettings, b2: b2Settings }[type]!;
    expect(settings('far', parsed({ type, region: 'x1', endpoint: 'http://127.0.0.1:9000', ...keys }))).toMatchObject({
      endpoint: 'http://127.0.0.1:9000',
    });
  });

  it.each([
    [{ endpoint: 'ftp://s3.example.test' }, 'endpoint'],
    [{ endpoint: 's3.example.test' }, 'endpoint'],
    [{ endpoint: 'https://s3.example.test/backups' }, 'endpoint'],
    [{ endpoint: 'https://me:pw@s3.example.test' }, 'endpoint'],
    [{ bucket: 'backups/sub' }, 'bucket: "backups/sub" is no bucket'],
    [{ bucket: ' backups' }, 'bucket'],
    [{ region: 'Falkenstein 1' }, 'region'],
    [{ connections: 0 }, 'connections'],
    [{ idleTimeout: 30 }, 'idleTimeout'],
    [{ versions: 'keep' }, 'versions'],
    [{ proxy: 'proxy:3128x' }, 'proxy'],
    [{ proxy: 'http://me:hush@proxy.test:3128' }, 'reference'],
    [{ acessKey: 'id' }, 'acessKey'],
    [{ tags: {} }, 'tags'],
  ])('refuses %j', (wrong, named) => {
    expect(() => parsed({ type: 's3', endpoint: 'https://s3.example.test', ...keys, ...wrong })).toThrow(named);
  });

  it('an address that carries a password is not repeated', () => {
    for (const wrong of [{ endpoint: 'https://me:hush@s3.example.test' }, { proxy: 'http://me:hush@proxy.test:3128' }])
      expect(() => parsed({ type: 's3', endpoint: 'https://s3.example.test', ...keys, ...wrong })).toThrow(/^(?!.*hush).*this value/s);
    const entry = { ...parsed({ type: 's3', endpoint: '${S3_URL}', ...keys }), endpoint: 'https://me:hush@s3.example.test' };
    expect(() => s3Settings('far', entry)).toThrow(/^(?!.*hush).*store far: endpoint: it is no endpoint/);
  });

  it('an endpoint is handed on without the slash at its end, and a resolved bucket is its name alone', () => {
    const entry = parsed({ type: 's3', endpoint: 'HTTPS://s3.example.test:8443/', ...keys });
    expect(s3Settings('far', entry)).toMatchObject({ endpoint: 'https://s3.example.test:8443' });
    expect(() => s3Settings('far', { ...entry, bucket: 'backups/sub' })).toThrow('store far: bucket: "backups/sub" is no bucket');
  });

  it('values may be references, and are looked at again once they are known', () => {
    const entry = parsed({ type: 's3', endpoint: '${S3_URL}', region: '${S3_REGION}', proxy: '${PROXY}', ca: '${file:/ca.pem}', ...keys });
    const resolved = { ...entry, region: 'eu-1', ca: 'PEM', endpoint: 'https://s3.example.test', proxy: 'http://me:hush@proxy.test:1' };
    expect(s3Settings('far', resolved)).toMatchObject({ region: 'eu-1', ca: 'PEM', proxy: 'http://me:hush@proxy.test:1' });
    expect(() => s3Settings('far', { ...resolved, endpoint: 'nonsense' })).toThrow('store far: endpoint: "nonsense" is no endpoint');
    expect(() => s3Settings('far', { ...resolved, proxy: 'hush' })).toThrow(/^(?!.*hush).*store far: proxy/);
  });
});

it('the SDK is loaded by the first call, never by the import of a store', () => {
  const dir = 'src/providers/stores/s3';
  const all = readdirSync(dir).map(file => readFileSync(join(dir, file), 'utf8'));
  const loads = all.flatMap(text => text.match(/^import (?!type ).*'(@aws-sdk|@smithy|node:https?|node:tls).*$/gm) ?? []);
  expect(loads).toEqual([]);
});

it('waits longer each time, by chance, and never longer than 20 s', () => {
  const [least, most] = [Buffer.alloc(4), Buffer.alloc(4, 255)];
  expect([0, 1, 2, 3, 10, 20].map(attempt => backOff(attempt, () => least))).toEqual([100, 200, 400, 800, 10_000, 10_000]);
  expect([0, 1, 2, 3, 10, 20].map(attempt => backOff(attempt, () => most))).toEqual([200, 400, 800, 1600, 20_000, 20_000]);
});
