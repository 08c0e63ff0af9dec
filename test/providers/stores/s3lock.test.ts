import { createHash } from 'node:crypto';
import {
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectVersionsCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Check, Store } from '../../../src/core/contracts.ts';
import { putBytes } from '../../../src/flow/bytes.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { asLesser, cleanUp, type S3Server, s3Client } from '../../real/rig/index.ts';
import { b2At, keysOf, type S3Servers, startServers, stillClock, storeAt } from './s3rig.ts';

const DAY = 86_400_000;
const MINUTE = 60_000;

let { rgw, versity, b2 } = {} as S3Servers;

beforeAll(async () => {
  ({ rgw, versity, b2 } = await startServers());
});
afterAll(cleanUp);

async function head(server: S3Server, Bucket: string, Key: string): Promise<HeadObjectCommandOutput> {
  const client = s3Client(server);
  return client.send(new HeadObjectCommand({ Bucket, Key })).finally(() => client.destroy());
}

async function versionsIn(server: S3Server, Bucket: string): Promise<number> {
  const client = s3Client(server);
  const { Versions = [], DeleteMarkers = [] } = await client
    .send(new ListObjectVersionsCommand({ Bucket }))
    .finally(() => client.destroy());
  return Versions.length + DeleteMarkers.length;
}

const put = (store: Store, key: string, lasting = true) => putBytes(store, key, Buffer.from(key), { ifAbsent: true, lasting });

/** An object of two parts. */
async function putLarge(store: Store, key: string): Promise<void> {
  const upload = await store.open(key, { lasting: true });
  for (const [n, block] of [Buffer.alloc(store.blockBytes, 1), Buffer.from('end')].entries())
    await upload.block(n, block, createHash('sha256').update(block).digest('hex'));
  await upload.commit();
}

const checksOf = async (store: Store): Promise<Check[]> => {
  const checks: Check[] = [];
  for await (const check of store.doctor!('bkp/prod/pg/app')) if (/object lock/.test(check.name)) checks.push(check);
  return checks;
};

describe.each([
  ['Ceph RGW, which takes no lock for an object in parts and gets it afterwards', () => rgw],
  ['versitygw', () => versity],
])('object lock on %s', (_, server) => {
  const lock = { mode: 'compliance', days: 3 } as const;
  const locked = async (more: object = {}, clock = stillClock()): Promise<[Store, string]> => {
    const bucket = await server().bucket({ lock: true });
    return [storeAt(server(), bucket, { lock, ...more }, clock), bucket];
  };

  it('what lasts is held from the time it is put, small and in parts; what does not is not', async () => {
    const [store, bucket] = await locked();
    expect(store.lock).toEqual({ mode: 'compliance', ms: 3 * DAY });
    await put(store, 'small');
    await putLarge(store, 'large');
    await put(store, 'lease', false);
    for (const key of ['small', 'large']) {
      const { ObjectLockMode, ObjectLockRetainUntilDate: until, LastModified } = await head(server(), bucket, key);
      expect(ObjectLockMode).toBe('COMPLIANCE');
      expect(Math.abs(until!.getTime() - 3 * DAY - LastModified!.getTime())).toBeLessThan(10 * MINUTE);
      expect(await store.heldUntil!(key)).toEqual(until);
    }
    expect(await store.heldUntil!('lease')).toBeUndefined();
    const until = (await store.heldUntil!('small'))!.toISOString();
    expect(await store.remove(['small', 'lease'])).toEqual([
      { key: 'small', ok: false, locked: true, reason: `held by object lock until ${until}` },
      { key: 'lease', ok: true },
    ]);
    await expect(put(store, 'small')).rejects.toMatchObject({ exit: 'conflict' });
  });

  it.each([-10, 10])('a clock that is %i minutes off: what counts is the clock of the store', async minutes => {
    const [store, bucket] = await locked({}, stillClock(new Date(Date.now() + minutes * MINUTE)));
    await put(store, 'a');
    const { ObjectLockRetainUntilDate: until, LastModified } = await head(server(), bucket, 'a');
    expect(Math.abs(until!.getTime() - LastModified!.getTime() - 3 * DAY)).toBeLessThan(5 * MINUTE);
  });

  it('S17: where removing only hides, what is held is not even hidden', async () => {
    const [store] = await locked({ versions: 'hide' });
    await put(store, 'a');
    expect(await store.remove(['a'])).toEqual([expect.objectContaining({ key: 'a', ok: false, locked: true })]);
    expect(await keysOf(store)).toEqual(['a']);
  });

  it('a bucket without it: what lasts is refused in one sentence at the first use, and doctor says the same', async () => {
    const store = storeAt(server(), await server().bucket(), { lock });
    const why = /the config asks for object lock \(`lock`\), and the bucket has none: it is chosen when a bucket is made/;
    await expect(put(store, 'a')).rejects.toMatchObject({ exit: 'refused', message: expect.stringMatching(why) });
    await put(store, 'lease', false);
    expect(await keysOf(store)).toEqual(['lease']);
    expect(await checksOf(store)).toMatchObject([{ state: 'fail', text: expect.stringMatching(why) }]);
    expect(await store.withstand!('bkp')).toMatchObject({ state: 'fail', text: expect.stringMatching(why) });
  });

  it('doctor tells of the lock, of one that nobody uses, and of a bucket that holds everything by itself', async () => {
    const [store, bucket] = await locked();
    expect(await checksOf(store)).toMatchObject([{ state: 'ok', text: expect.stringContaining('compliance mode for 3 day(s)') }]);
    const client = s3Client(server());
    const Rule = { DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } } as const;
    const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled', Rule } as const;
    await client.send(new PutObjectLockConfigurationCommand({ Bucket: bucket, ObjectLockConfiguration })).finally(() => client.destroy());
    expect(await checksOf(storeAt(server(), bucket))).toMatchObject([
      { state: 'warn', text: expect.stringContaining('nothing is held') },
      { state: 'warn', text: expect.stringContaining('GOVERNANCE for 1 days') },
    ]);
  });

  it('hold makes a hold longer and never shorter, gives one to what has none, and tells of what is not there', async () => {
    const [store] = await locked({ lock: { mode: 'governance', days: 3 } });
    await put(store, 'a');
    await put(store, 'b', false);
    const until = new Date(Math.floor(Date.now() / 1000) * 1000 + 9 * DAY);
    expect(await store.hold!(['a', 'b', 'c'], until)).toEqual([
      { key: 'a', ok: true },
      { key: 'b', ok: true },
      { key: 'c', ok: false, reason: 'it is not there' },
    ]);
    expect(await store.hold!(['a'], new Date(Date.now() + DAY))).toEqual([{ key: 'a', ok: true }]);
    for (const key of ['a', 'b']) expect(await store.heldUntil!(key)).toEqual(until);
  });
});

it('b2: sends with a lock what B2 wants and nothing that it refuses', async () => {
  const bucket = await b2.bucket({ lock: true });
  const store = b2At(b2, bucket, { lock: { mode: 'governance', days: 2 } });
  await put(store, 'small');
  await putLarge(store, 'large');
  const until = new Date(Date.now() + 5 * DAY);
  expect(await store.hold!(['small', 'large'], until)).toEqual([
    { key: 'small', ok: true },
    { key: 'large', ok: true },
  ]);
  for (const key of ['small', 'large']) expect((await store.heldUntil!(key))!.getTime()).toBeGreaterThan(until.getTime() - 1001);
});

it('withstand: compliance does; governance does not where the key may bypass it; no canary stays', async () => {
  const tried = [rgw, versity].flatMap(server =>
    (['compliance', 'governance'] as const).map(async mode => {
      const bucket = await server.bucket({ lock: true });
      const check = await storeAt(server, bucket, { lock: { mode, days: 3 } }, systemClock).withstand!('bkp');
      return { mode, check, left: await versionsIn(server, bucket) };
    }),
  );
  for (const { mode, check, left } of await Promise.all(tried)) {
    expect(left).toBe(0);
    if (mode === 'compliance')
      expect(check).toMatchObject({ state: 'ok', text: expect.stringMatching(/neither removed nor shortened .*it answered AccessDenied/) });
    else
      expect(check).toMatchObject({
        state: 'fail',
        text: expect.stringContaining('with a bypass asked for'),
        mend: expect.stringMatching(/s3:BypassGovernanceRetention .*lock\.mode: compliance/),
      });
  }
});

it('governance with a key that may not bypass: it withstands, says who still could, and what is asked to go is told as held', async () => {
  const bucket = await versity.bucket({ lock: true });
  const key = await asLesser(versity, bucket, ['s3:BypassGovernanceRetention']);
  const store = storeAt(key, bucket, { lock: { mode: 'governance', days: 3 } }, systemClock);
  expect(await store.withstand!('bkp')).toMatchObject({
    state: 'ok',
    text: expect.stringMatching(/neither removed nor shortened .*AccessDenied.*an account with s3:BypassGovernanceRetention still could/),
  });
  expect(await versionsIn(versity, bucket)).toBe(0);
  await put(store, 'a');
  expect(await store.remove(['a'])).toEqual([
    expect.objectContaining({ key: 'a', ok: false, locked: true, reason: expect.stringMatching(/until \d{4}-/) }),
  ]);
  expect(await keysOf(store)).toEqual(['a']);
});

it('without `lock` a store holds nothing, and says so', async () => {
  const store = storeAt(versity, await versity.bucket());
  await put(store, 'a');
  expect(store.lock).toBeUndefined();
  expect(await store.withstand!('bkp')).toMatchObject({ state: 'warn', text: expect.stringContaining('`lock` is not set') });
  expect(await store.remove(['a'])).toEqual([{ key: 'a', ok: true }]);
});
