import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import type { Access } from '../../../src/core/contracts.ts';
import { postgresConfig } from '../../../src/providers/targets/postgres/config.ts';
import { walgSettings } from '../../../src/providers/targets/postgres/walg/config.ts';
import { type EnvironmentInput, encryptionOf, walgEnvironment } from '../../../src/providers/targets/postgres/walg/environment.ts';
import { isBackupName, ownWalAt, prefixOf, walNameOf } from '../../../src/providers/targets/postgres/walg/layout.ts';

const S3: Access = {
  kind: 's3',
  endpoint: 'https://fsn1.example.test',
  region: 'fsn1',
  bucket: 'backups',
  accessKey: 'the-id',
  secretKey: 'the-secret',
  pathStyle: true,
};

const server = { host: 'db', port: 5433, user: 'bkp', database: 'postgres', password: 'the-password' };

const input = (more: Partial<EnvironmentInput> = {}, walg: object = { libsodiumKey: 'the-key' }): EnvironmentInput => ({
  who: 'postgres/app',
  walg: walgSettings.parse(walg),
  server,
  access: S3,
  prefix: 'bkp/production/postgres/app/walg/77-1',
  unencrypted: false,
  ...more,
});

describe('what WAL-G is told', () => {
  it('is the place in the bucket, the server, and what bkp relies on', () => {
    expect(walgEnvironment(input())).toEqual({
      plain: {
        WALG_S3_PREFIX: 's3://backups/bkp/production/postgres/app/walg/77-1',
        AWS_ENDPOINT: 'https://fsn1.example.test',
        AWS_REGION: 'fsn1',
        AWS_S3_FORCE_PATH_STYLE: 'true',
        S3_MAX_RETRIES: '3',
        PGHOST: 'db',
        PGPORT: '5433',
        PGUSER: 'bkp',
        PGDATABASE: 'postgres',
        PGPASSFILE: '/dev/null',
        PGSERVICEFILE: '/dev/null',
        WALG_COMPRESSION_METHOD: 'lz4',
        WALG_DELTA_MAX_STEPS: '0',
        WALG_PREVENT_WAL_OVERWRITE: 'true',
      },
      secret: {
        AWS_ACCESS_KEY_ID: 'the-id',
        AWS_SECRET_ACCESS_KEY: 'the-secret',
        PGPASSWORD: 'the-password',
        WALG_LIBSODIUM_KEY: 'the-key',
      },
    });
  });

  it('has a directory in place of a bucket, and no server where none is asked', () => {
    const { server: _server, ...alone } = input({ access: { kind: 'directory', path: '/srv/bkp' } });
    const { plain, secret } = walgEnvironment(alone);
    expect(plain['WALG_FILE_PREFIX']).toBe('/srv/bkp/bkp/production/postgres/app/walg/77-1');
    expect(Object.keys({ ...plain, ...secret }).filter(name => /^(PG|AWS|S3)/.test(name))).toEqual([]);
  });

  test.each<[string, Partial<EnvironmentInput>, object, Record<string, string | undefined>]>([
    ['a segment size of its own', { segmentBytes: 64 * 1024 * 1024 }, { libsodiumKey: 'k' }, { WALG_PG_WAL_SIZE: '64' }],
    ['the usual segment size', { segmentBytes: 16 * 1024 * 1024 }, { libsodiumKey: 'k' }, { WALG_PG_WAL_SIZE: undefined }],
    [
      'the name of the bucket in the host',
      { access: { ...S3, pathStyle: false } },
      { libsodiumKey: 'k' },
      { AWS_S3_FORCE_PATH_STYLE: 'false' },
    ],
    ['an authority', { access: { ...S3, ca: 'PEM' }, caFile: '/ca.pem' }, { libsodiumKey: 'k' }, { WALG_S3_CA_CERT_FILE: '/ca.pem' }],
    ['a proxy', { access: { ...S3, proxy: 'http://p:1' } }, { libsodiumKey: 'k' }, { HTTPS_PROXY: 'http://p:1' }],
    ['a PGP key', {}, { pgpKey: 'armored', pgpPassphrase: 'pass' }, { WALG_PGP_KEY: 'armored', WALG_PGP_KEY_PASSPHRASE: 'pass' }],
    ['a file of a PGP key', {}, { pgpKeyPath: '/k.asc' }, { WALG_PGP_KEY_PATH: '/k.asc' }],
    [
      'deltas',
      {},
      { libsodiumKey: 'k', deltaMaxSteps: 6, uploadConcurrency: 2 },
      { WALG_DELTA_MAX_STEPS: '6', WALG_UPLOAD_CONCURRENCY: '2' },
    ],
    ['more tries', {}, { libsodiumKey: 'k', settings: { S3_MAX_RETRIES: 7 } }, { S3_MAX_RETRIES: '7' }],
    ['a store that is the last to have it', {}, { libsodiumKey: 'k' }, { WALG_DOWNLOAD_FILE_RETRIES: undefined }],
    ['another store that has it too', { elsewhere: true }, { libsodiumKey: 'k' }, { WALG_DOWNLOAD_FILE_RETRIES: '0' }],
    [
      'patience that was asked for',
      { elsewhere: true },
      { libsodiumKey: 'k', settings: { WALG_DOWNLOAD_FILE_RETRIES: 4 } },
      { WALG_DOWNLOAD_FILE_RETRIES: '4' },
    ],
    ['nothing encrypted, as somebody said', { unencrypted: true }, {}, { WALG_LIBSODIUM_KEY: undefined, WALG_PGP_KEY: undefined }],
  ])('knows %s', (_, more, walg, expected) => {
    const { plain, secret } = walgEnvironment(input(more, walg));
    expect({ ...plain, ...secret }).toMatchObject(Object.fromEntries(Object.entries(expected).filter(([, value]) => value !== undefined)));
    for (const [name, value] of Object.entries(expected)) expect({ ...plain, ...secret }[name]).toBe(value);
  });

  it('is refused where nothing would be encrypted and nobody said so: both ways out are told', () => {
    const refused = () => walgEnvironment(input({}, {}));
    expect(refused).toThrow(/has no key/);
    try {
      refused();
    } catch (error) {
      expect(error).toMatchObject({
        exit: 'usage',
        next: [expect.stringMatching(/pgpKeyPath/), expect.stringMatching(/unencrypted: true/)],
      });
    }
    expect(() => encryptionOf(input({}, { pgpKey: 'a', libsodiumKey: 'b' }))).toThrow(/2 keys; allowed is one/);
  });

  it('CF04: never has a secret among what may be shown, and each secret in one variable or as it is', () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9/+=$'"\n]{12,40}$/).map(text => `s3cr3t${text}`);
    fc.assert(
      fc.property(fc.tuple(secret, secret, secret, secret, secret), fc.boolean(), ([id, key, password, own, pass], pgp) => {
        const walg = pgp ? { pgpKey: own, pgpPassphrase: pass } : { libsodiumKey: own };
        const made = walgEnvironment(input({ access: { ...S3, accessKey: id, secretKey: key }, server: { ...server, password } }, walg));
        expect(JSON.stringify(made.plain)).not.toContain('s3cr3t');
        expect(Object.values(made.secret).sort()).toEqual([id, key, password, own, ...(pgp ? [pass] : [])].sort());
      }),
    );
  });
});

describe('settings of WAL-G in the config', () => {
  const faults = (walg: object): string =>
    JSON.stringify(
      postgresConfig.safeParse({ engine: 'wal-g', walg }).error?.issues.map(({ path, message }) => [path.join('.'), message]) ?? [],
    );

  test.each([
    [{ compression: 'brotli' }, /brotli.*refused.*cgo/],
    [{ settings: { WALG_S3_PREFIX: 's3://x' } }, /WALG_S3_PREFIX.*cannot be set here/],
    [{ settings: { WALG_FAILOVER_STORAGES: 'x' } }, /cannot be set here/],
    [{ settings: { AWS_ENDPOINT: 'x' } }, /cannot be set here/],
    [{ settings: { WALG_WITHOUT_FILES_METADATA: true } }, /cannot be set here/],
    [{ settings: { WALG_LIBSODIUM_KEY: 'geheim' } }, /^(?!.*geheim).*cannot be set here/],
    [{ prefix: '../x' }, /is no prefix/],
  ])('refuses %j', (walg, expected) => expect(faults(walg)).toMatch(expected));

  it('takes what bkp does not set by itself', () => {
    expect(
      faults({ settings: { WALG_TAR_SIZE_THRESHOLD: 1048576, S3_MAX_PART_SIZE: '5242880', WALG_LIBSODIUM_KEY_TRANSFORM: 'hex' } }),
    ).toBe('[]');
  });
});

describe("names in WAL-G's archive", () => {
  const ctx = { base: 'bkp/production/postgres/app', config: postgresConfig.parse({ engine: 'wal-g', walg: { prefix: 'old/archive' } }) };

  it('an archive that was there before is that of the first lineage, and of no later one', () => {
    expect(prefixOf(ctx, '77-1')).toBe('old/archive');
    expect(prefixOf(ctx, '77-2')).toBe('bkp/production/postgres/app/walg/77-2');
    expect(prefixOf(ctx, '77-11')).toBe('bkp/production/postgres/app/walg/77-11');
  });

  it('an archived file is known by its name, whatever it was compressed by', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9A-F]{24}$/), fc.constantFrom('lz4', 'lzma', 'zst', 'br'), (segment, extension) => {
        const key = `${ctx.base}/walg/77-1/wal_005/${segment}.${extension}`;
        expect(ownWalAt(ctx.base, key)).toEqual({ lineage: '77-1', name: segment });
        expect(ownWalAt(ctx.base, key.replace('wal_005', 'basebackups_005'))).toBeUndefined();
        expect(ownWalAt('bkp/production/postgres/other', key)).toBeUndefined();
      }),
    );
    expect(walNameOf('00000002.history.lz4')).toBe('00000002.history');
    expect(walNameOf('000000010000000000000004.00000028.backup.zst')).toBe('000000010000000000000004.00000028.backup');
    expect(walNameOf('notes.txt')).toBeUndefined();
  });

  it('a name of a backup is WAL-G’s and nothing else', () => {
    expect(isBackupName('base_000000010000000000000004')).toBe(true);
    expect(isBackupName('base_000000010000000000000006_D_000000010000000000000004')).toBe(true);
    for (const name of ['base_1', '../base_000000010000000000000004', 'base_000000010000000000000004/x', 'LATEST'])
      expect(isBackupName(name)).toBe(false);
  });
});
