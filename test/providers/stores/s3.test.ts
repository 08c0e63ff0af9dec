import { createHash } from 'node:crypto';
import {
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Check, Store } from '../../../src/core/contracts.ts';
import { putBytes, readAll } from '../../../src/flow/bytes.ts';
import { storeContract } from '../../contracts/store.ts';
import { type BucketOptions, cleanUp, type S3Server, s3Client } from '../../real/rig/index.ts';
import { b2At, keysOf, type S3Servers, startServers, stillClock, storeAt } from './s3rig.ts';

let { rgw, versity, b2 } = {} as S3Servers;

beforeAll(async () => {
  ({ rgw, versity, b2 } = await startServers());
});
afterAll(cleanUp);

storeContract('s3 on Ceph RGW', async () => storeAt(rgw, await rgw.bucket()));
storeContract('s3 on versitygw', async () => storeAt(versity, await versity.bucket()));
storeContract('s3 on versitygw that keeps versions', async () => storeAt(versity, await versity.bucket({ versions: true })));
storeContract('s3 on a bucket of RGW that keeps versions', async () => storeAt(rgw, await rgw.bucket({ versions: true })), {
  atomic: false,
});
storeContract('b2', async () => b2At(b2, await b2.bucket()), { atomic: false });

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function begun(store: Store, key: string) {
  const upload = await store.open(key);
  const block = Buffer.alloc(store.blockBytes, 7);
  await upload.block(0, block, sha256(block));
  return upload;
}

/** Keys of uploads that were begun and not finished. */
async function uploadsOf(server: S3Server, Bucket: string): Promise<string[]> {
  const client = s3Client(server);
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket })).finally(() => client.destroy());
  return Uploads.map(({ Key }) => Key!);
}

/** How many versions and marks of deletion a bucket holds. */
async function countVersions(server: S3Server, Bucket: string): Promise<number> {
  const client = s3Client(server);
  const { Versions = [], DeleteMarkers = [] } = await client
    .send(new ListObjectVersionsCommand({ Bucket }))
    .finally(() => client.destroy());
  return Versions.length + DeleteMarkers.length;
}

async function lock(server: S3Server, Bucket: string, Key: string, RetainUntilDate: Date): Promise<void> {
  const client = s3Client(server, { requestChecksumCalculation: 'WHEN_SUPPORTED' });
  const Retention = { Mode: 'GOVERNANCE', RetainUntilDate } as const;
  await client.send(new PutObjectRetentionCommand({ Bucket, Key, Retention })).finally(() => client.destroy());
}

const tomorrow = new Date(Math.ceil(Date.now() / 1000) * 1000 + 86_400_000);

describe.each([
  ['Ceph RGW', () => rgw],
  ['versitygw', () => versity],
])('s3 on %s', (_, server) => {
  const bucket = (options?: BucketOptions) => server().bucket(options);

  it.each([
    [{}, { versions: false, locks: false }],
    [{ versions: true }, { versions: true, locks: false }],
    [{ lock: true }, { versions: true, locks: true }],
  ])('learns what a bucket made with %j can do, and leaves nothing of the probe', async (made, powers) => {
    const name = await bucket(made);
    expect(await storeAt(server(), name).powers()).toMatchObject(powers);
    expect(await countVersions(server(), name)).toBe(0);
  });

  it('knows of conditional writes', async () => {
    expect(await storeAt(server(), await bucket()).powers()).toMatchObject({ conditionalPut: true });
  });

  it('never overwrites an object of several blocks with ifAbsent', async () => {
    const store = storeAt(server(), await bucket());
    const [one, two] = [Buffer.alloc(store.blockBytes + 1, 1), Buffer.alloc(store.blockBytes + 1, 2)];
    await putBytes(store, 'big', one, { ifAbsent: true });
    await expect(putBytes(store, 'big', two, { ifAbsent: true })).rejects.toMatchObject({ exit: 'conflict' });
    expect(sha256(await readAll(store.get('big')))).toBe(sha256(one));
  });

  it('has the store check each part against its SHA-256', async () => {
    const store = storeAt(server(), await bucket());
    const upload = await store.open('big');
    const block = Buffer.alloc(store.blockBytes, 1);
    await expect(upload.block(0, block, sha256(Buffer.from('other')))).rejects.toMatchObject({ exit: 'verifyFailed' });
    await upload.abort();
  });

  it('S11: an upload that is given up leaves nothing; one that was killed is swept, and a young one is not', async () => {
    const name = await bucket();
    const store = storeAt(server(), name);
    await (await begun(store, 'pg/given/up')).abort();
    expect(await uploadsOf(server(), name)).toEqual([]);
    await begun(store, 'pg/app/killed');
    expect(await store.sweep!('pg/app/', new Date(0))).toEqual([]);
    expect(await store.sweep!('pg/other/', tomorrow)).toEqual([]);
    expect(await uploadsOf(server(), name)).toEqual(['pg/app/killed']);
    expect(await store.sweep!('pg/app/', tomorrow)).toEqual([{ key: 'pg/app/killed', ok: true }]);
    expect(await uploadsOf(server(), name)).toEqual([]);
  });

  it('S14: hides where versions are kept, counts what is hidden, and deletes it where it is told to', async () => {
    const name = await bucket({ versions: true });
    const hiding = storeAt(server(), name);
    for (const text of ['one', 'three']) await putBytes(hiding, 'pg/app', Buffer.from(text));
    await putBytes(hiding, 'pg/app2', Buffer.from('other'));
    expect(await hiding.hidden!('pg/')).toEqual({ objects: 1, bytes: 3 });
    expect(await hiding.remove(['pg/app'])).toEqual([{ key: 'pg/app', ok: true }]);
    expect(await keysOf(hiding)).toEqual(['pg/app2']);
    expect(await hiding.hidden!('pg/')).toEqual({ objects: 3, bytes: 8 });
    expect(await hiding.hidden!('other/')).toEqual({ objects: 0, bytes: 0 });
    const deleting = storeAt(server(), name, { versions: 'delete' });
    expect(await deleting.remove(['pg/app'])).toEqual([{ key: 'pg/app', ok: true }]);
    expect(await deleting.hidden!('')).toEqual({ objects: 0, bytes: 0 });
    expect(await keysOf(deleting)).toEqual(['pg/app2']);
  });

  it('S17: what object lock holds stays, and is told with its date; the rest goes', async () => {
    const name = await bucket({ lock: true });
    const store = storeAt(server(), name, { versions: 'delete' });
    for (const key of ['held', 'free']) await putBytes(store, key, Buffer.from(key));
    await lock(server(), name, 'held', tomorrow);
    const reason = expect.stringContaining(tomorrow.toISOString());
    expect(await store.remove(['held', 'free'])).toEqual([
      { key: 'held', ok: false, locked: true, reason },
      { key: 'free', ok: true },
    ]);
    expect(await keysOf(store)).toEqual(['held']);
  });

  it('a bucket that is not there is no empty one', async () => {
    const store = storeAt(server(), 'no-such-bucket');
    const gone = { exit: 'storeUnreachable', message: expect.stringContaining('no-such-bucket') };
    await expect(store.stat('a')).rejects.toMatchObject(gone);
    await expect(readAll(store.get('a'))).rejects.toMatchObject(gone);
    await expect(putBytes(store, 'a', Buffer.from('x'))).rejects.toMatchObject(gone);
    await expect(store.remove(['a'])).rejects.toMatchObject(gone);
    await expect(keysOf(store)).rejects.toMatchObject(gone);
    await expect(store.powers()).rejects.toMatchObject(gone);
  });

  it.each([{ accessKey: 'nobody' }, { secretKey: 'wrong-secret' }])(
    'keys that are not known are no empty bucket, and are not printed: %j',
    async wrong => {
      const store = storeAt(server(), await bucket(), wrong);
      const calls = [
        () => store.stat('a'),
        () => readAll(store.get('a')),
        () => store.remove(['a']),
        () => keysOf(store),
        () => store.powers(),
      ];
      for (const call of [...calls, () => putBytes(store, 'a', Buffer.from('x'))]) {
        const error = await call().then(
          () => undefined,
          caught => caught,
        );
        expect(error).toMatchObject({ exit: 'storeUnreachable', message: expect.stringContaining('store far') });
        expect(`${error.message} ${error.next}`).not.toMatch(/nobody|wrong-secret|not\/a\+secret/);
      }
    },
  );
});

describe('s3 on Ceph RGW alone', () => {
  it('a bucket that keeps versions ignores If-None-Match there, and that is noticed', async () => {
    expect(await storeAt(rgw, await rgw.bucket({ versions: true })).powers()).toMatchObject({ conditionalPut: false });
  });

  it.each([
    ['pg/', 'warn'],
    ['', 'warn'],
    ['pg/app/wal/', 'warn'],
    ['pg/app-staging/', 'ok'],
  ])('RT17: a rule that deletes under "%s" is %s for pg/app', async (Prefix, state) => {
    const name = await rgw.bucket();
    const client = s3Client(rgw);
    const Rules = [{ ID: 'clean', Status: 'Enabled' as const, Filter: { Prefix }, Expiration: { Days: 30 } }];
    await client
      .send(new PutBucketLifecycleConfigurationCommand({ Bucket: name, LifecycleConfiguration: { Rules } }))
      .finally(() => client.destroy());
    const checks: Check[] = [];
    for await (const check of storeAt(rgw, name).doctor!('pg/app')) checks.push(check);
    expect(checks).toMatchObject([
      { name: 'store far: lifecycle', state, text: state === 'warn' ? expect.stringContaining('clean') : expect.anything() },
      { name: 'store far: clock', state: 'ok' },
    ]);
  });
});

describe('b2', () => {
  it('S01 S04: sends nothing that B2 refuses, to any call', async () => {
    const store = b2At(b2, await b2.bucket());
    const from = b2.log.length;
    const block = Buffer.alloc(store.blockBytes + 1, 3);
    await putBytes(store, 'a/big', block, { ifAbsent: true });
    await putBytes(store, 'a/small', Buffer.from('small'), { ifAbsent: true });
    await readAll(store.get('a/big', { from: 5 }));
    expect(await store.powers()).toEqual({ conditionalPut: false, versions: true, locks: false });
    await begun(store, 'a/half');
    await store.sweep!('', tomorrow);
    await store.remove(await keysOf(store, 'a/'));
    expect(await store.hidden!('')).toEqual({ objects: 0, bytes: 0 });
    const asked = b2.log.slice(from).map(({ method, status }) => `${method} ${status}`);
    expect(asked.filter(line => / (4|5)/.test(line) && !line.startsWith('HEAD 404'))).toEqual([expect.stringContaining('GET 404')]);
  });

  it('deletes every version by itself: nothing hidden goes on billing', async () => {
    const name = await b2.bucket();
    const store = b2At(b2, name);
    for (const text of ['one', 'two']) await putBytes(store, 'twice', Buffer.from(text));
    expect(await store.remove(['twice'])).toEqual([{ key: 'twice', ok: true }]);
    expect(await countVersions(versity, name)).toBe(0);
  });

  it('waits while there are no tomes', async () => {
    const clock = stillClock();
    const store = b2At(b2, await b2.bucket(), {}, clock);
    let left = 2;
    b2.busy = ({ method }) => method === 'PUT' && left-- > 0;
    await putBytes(store, 'a', Buffer.from('x'));
    b2.busy = () => false;
    expect((await readAll(store.get('a'))).toString()).toBe('x');
    expect(clock.waits).toHaveLength(2);
  });
});
