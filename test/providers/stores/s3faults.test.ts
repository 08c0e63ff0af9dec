import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { ListMultipartUploadsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pMap from 'p-map';
import type { Store, Upload } from '../../../src/core/contracts.ts';
import type { BkpError } from '../../../src/core/errors.ts';
import { putBytes, readAll } from '../../../src/flow/bytes.ts';
import {
  type Act,
  accessDenied,
  afterwards,
  answer,
  cleanUp,
  cutAfter,
  drop,
  errorIn200,
  errorXml,
  type FaultyS3,
  freePort,
  isListing,
  listing,
  type S3Server,
  type Seen,
  s3Client,
  slowDown,
  stall,
  stallAfter,
  startFaulty,
  startVersity,
  stopAllS3,
  throttle,
  tooLargeHtml,
  tooSkewed,
} from '../../real/rig/index.ts';
import { keysOf, type StillClock, stillClock, storeAt } from './s3rig.ts';

let versity: S3Server;
let faulty: FaultyS3;
let bucket: string;
let clock: StillClock;
let store: Store;

beforeAll(async () => {
  versity = await startVersity();
  faulty = await startFaulty(versity);
});

beforeEach(async () => {
  bucket = await faulty.bucket();
  clock = stillClock();
  store = storeAt(faulty, bucket, {}, clock);
});

afterEach(() => {
  faulty.faults = [];
});

afterAll(async () => {
  await stopAllS3();
  await cleanUp();
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const caught = (work: Promise<unknown>): Promise<BkpError> =>
  work.then(
    () => undefined as never,
    error => error,
  );

const isPut = ({ method, query }: Seen) => method === 'PUT' && !query.has('partNumber');
const isPart = ({ method, query }: Seen) => method === 'PUT' && query.has('partNumber');
const isComplete = ({ method, query }: Seen) => method === 'POST' && query.has('uploadId');
const isHead = ({ method }: Seen) => method === 'HEAD';
const isGet = ({ method, query }: Seen) => method === 'GET' && !query.has('list-type');
const isAbort = ({ method, query }: Seen) => method === 'DELETE' && query.has('uploadId');

const strike = (when: (seen: Seen) => boolean, act: Act, times = Number.POSITIVE_INFINITY): void => {
  faulty.faults.push({ when, act, times });
};

/** How many requests of a kind came in since `work` began. */
async function countDuring(when: (seen: Seen) => boolean, work: () => Promise<unknown>): Promise<number> {
  const from = faulty.log.length;
  await work();
  return faulty.log.slice(from).filter(when).length;
}

async function uploadsLeft(): Promise<number> {
  const client = s3Client(versity);
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket })).finally(() => client.destroy());
  return Uploads.length;
}

/** The server behind the faults, as it is. */
const truth = (): Store => storeAt(versity, bucket);

/** Puts many small objects quickly, without a look at each. */
async function fill(keys: readonly string[]): Promise<void> {
  const client = s3Client(versity);
  await pMap(keys, Key => client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: Key })), { concurrency: 16 });
  client.destroy();
}

const big = (): Buffer => randomBytes(store.blockBytes + 1000);

/** Listens on a port for versitygw. The function that is returned ends it, and every connection. */
async function tunnel(port: number): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    const up = connect(Number(new URL(versity.endpoint).port), '127.0.0.1');
    for (const each of [socket, up]) sockets.add(each.on('error', () => {}));
    socket.pipe(up).pipe(socket);
  });
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
  return async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise(resolve => server.close(resolve));
  };
}

describe('checksums', () => {
  const refuse = answer(400, errorXml('InvalidArgument', 'Unsupported header'));
  const hasChecksum = ({ headers }: Seen) => Object.keys(headers).some(name => /checksum|trailer|content-encoding|^expect$/.test(name));
  const isUnsigned = ({ headers }: Seen) => !/^[0-9a-f]{64}$/.test(String(headers['x-amz-content-sha256']));

  it('S01 S04: uploads carry no checksum header, no trailer and no Expect, only signed plain parts', async () => {
    strike(seen => hasChecksum(seen) || isUnsigned(seen), refuse);
    const bytes = big();
    await putBytes(store, 'big', bytes);
    await putBytes(store, 'small', Buffer.from('x'));
    expect(sha256(await readAll(store.get('big')))).toBe(sha256(bytes));
    expect(await store.remove(['big', 'small'])).toHaveLength(2);
  });

  it('the hash that was announced is the one that is signed', async () => {
    const bytes = big();
    await putBytes(store, 'big', bytes);
    const first = faulty.log.findLast(seen => isPart(seen) && seen.query.get('partNumber') === '1');
    expect(first?.headers['x-amz-content-sha256']).toBe(sha256(bytes.subarray(0, store.blockBytes)));
  });
});

describe('S05: what commit may meet', () => {
  it('200 with an error in it, and nothing done: tried again', async () => {
    strike(isComplete, errorIn200(), 2);
    const bytes = big();
    expect(await putBytes(store, 'big', bytes)).toMatchObject({ bytes: bytes.length });
    expect(clock.waits).toHaveLength(2);
  });

  it('200 with an error in it, always: fails, and leaves nothing behind', async () => {
    strike(isComplete, errorIn200());
    const error = await caught(putBytes(store, 'big', big()));
    expect(error).toMatchObject({
      exit: 'storeUnreachable',
      message: expect.stringMatching(/CompleteMultipartUpload of big .*InternalError/),
    });
    expect(await truth().stat('big')).toBeUndefined();
    expect(await uploadsLeft()).toBe(0);
  });

  it.each([
    ['a dropped connection', drop],
    ['an error in 200', errorIn200()],
    ['503', slowDown],
  ])('done, but the answer is %s: the store is looked at, and that settles it', async (_, act) => {
    strike(isComplete, afterwards(act), 1);
    const bytes = big();
    expect(await putBytes(store, 'big', bytes, { ifAbsent: true })).toMatchObject({ bytes: bytes.length });
    expect(sha256(await readAll(truth().get('big')))).toBe(sha256(bytes));
  });

  it('done, and the answer to a small object is lost: ifAbsent does not take it for a stranger', async () => {
    strike(isPut, afterwards(drop), 1);
    expect(await putBytes(store, 'small', Buffer.from('mine'), { ifAbsent: true })).toMatchObject({ bytes: 4 });
  });

  it('never answered: given up after the time-out, and looked at', async () => {
    store = storeAt(faulty, bucket, { timeout: '3s', idleTimeout: '2s', retries: 1 }, clock);
    strike(isComplete, afterwards(stall));
    const bytes = big();
    expect(await putBytes(store, 'big', bytes)).toMatchObject({ bytes: bytes.length });
  });

  it.each([
    ['small', 20],
    ['big', 17_000_000],
  ])('a %s object that the store shows at another size is an error, and goes away again', async (key, bytes) => {
    const shown = { 'last-modified': new Date().toUTCString(), etag: '"x"' };
    const short: Act = async exchange => {
      const from = await exchange.forward();
      from.resume();
      await answer(200, 'short', { ...shown, 'x-amz-meta-bkp-upload': String(from.headers['x-amz-meta-bkp-upload']) })(exchange);
    };
    strike(isHead, short);
    const error = await caught(putBytes(store, key, Buffer.alloc(bytes)));
    expect(error).toMatchObject({
      exit: 'storeUnreachable',
      message: expect.stringMatching(new RegExp(`5 bytes, and ${bytes} were sent`)),
    });
    expect(await truth().stat(key)).toBeUndefined();
  });

  it('an object that is not shown after all is an error', async () => {
    strike(isHead, answer(404, ''));
    const error = await caught(putBytes(store, 'small', Buffer.from('x')));
    expect(error).toMatchObject({ exit: 'storeUnreachable', message: expect.stringContaining('does not show it') });
  });

  it('someone else wrote the key at the same time: the last one is told to be there', async () => {
    strike(
      isPut,
      afterwards(async exchange => {
        await putBytes(truth(), 'small', Buffer.from('theirs'));
        await answer(200, '', { etag: '"mine"' })(exchange);
      }),
      1,
    );
    const error = await caught(putBytes(store, 'small', Buffer.from('mine')));
    expect(error).toMatchObject({ exit: 'conflict' });
    expect((await readAll(truth().get('small'))).toString()).toBe('theirs');
  });

  it('a store that does not know If-None-Match is asked without it, and never overwrites what is there', async () => {
    strike(({ headers }) => headers['if-none-match'] !== undefined, answer(501, errorXml('NotImplemented', 'no such header')));
    await putBytes(store, 'small', Buffer.from('one'), { ifAbsent: true });
    expect(await caught(putBytes(store, 'small', Buffer.from('two'), { ifAbsent: true }))).toMatchObject({ exit: 'conflict' });
    expect((await readAll(store.get('small'))).toString()).toBe('one');
    expect(await store.powers()).toMatchObject({ conditionalPut: false });
  });
});

describe('reading', () => {
  const bytes = randomBytes(3_000_000);

  beforeEach(async () => {
    await putBytes(truth(), 'object', bytes);
  });

  it.each([true, false])('S06: a body that breaks at half (length said: %j) goes on from where it was', async length => {
    strike(isGet, cutAfter(1_500_000, { length }), 2);
    const from = faulty.log.length;
    expect(sha256(await readAll(store.get('object')))).toBe(sha256(bytes));
    expect(
      faulty.log
        .slice(from)
        .filter(isGet)
        .map(({ headers }) => headers.range),
    ).toEqual([undefined, 'bytes=1500000-', expect.anything()].slice(0, 2));
  });

  it('S06: a range goes on in its range', async () => {
    strike(isGet, cutAfter(1000), 3);
    expect(await readAll(store.get('object', { from: 10, to: 20_010 }))).toEqual(bytes.subarray(10, 20_010));
  });

  it.each([true, false])('S06: a body that never comes whole (length said: %j) is an error that names the byte', async length => {
    strike(isGet, cutAfter(0, { length }));
    const error = await caught(readAll(store.get('object')));
    expect(error).toMatchObject({ exit: 'storeUnreachable', message: expect.stringMatching(/object .*byte 0 of 3000000, 6 times/) });
  });

  it('a body that stalls is given up and taken up again', async () => {
    store = storeAt(faulty, bucket, { idleTimeout: '2s' }, clock);
    strike(isGet, stallAfter(1_000_000), 1);
    expect(sha256(await readAll(store.get('object')))).toBe(sha256(bytes));
  });

  it('a slow reader is not a stalled body', async () => {
    store = storeAt(faulty, bucket, { idleTimeout: '2s' }, clock);
    const read: Uint8Array[] = [];
    const gets = await countDuring(isGet, async () => {
      for await (const chunk of store.get('object')) {
        if (read.length === 0) await new Promise(resolve => setTimeout(resolve, 3000));
        read.push(chunk);
      }
    });
    expect(sha256(Buffer.concat(read))).toBe(sha256(bytes));
    expect(gets).toBe(1);
  });

  it('a slow line is not a stalled body, however long it takes', async () => {
    store = storeAt(faulty, bucket, { idleTimeout: '2s' }, clock);
    strike(isGet, throttle(1_000_000));
    const gets = await countDuring(isGet, async () => expect(await readAll(store.get('object'))).toHaveLength(bytes.length));
    expect(gets).toBe(1);
  });

  it('an object that is replaced while it is read is an error, never a mixture', async () => {
    const replaced = async (exchange: Parameters<Act>[0]) => {
      const answered = await exchange.forward();
      await putBytes(truth(), 'object', Buffer.from(bytes).fill(1));
      return answered;
    };
    strike(isGet, exchange => cutAfter(1_000_000)({ ...exchange, forward: () => replaced(exchange) }), 1);
    expect(await caught(readAll(store.get('object')))).toMatchObject({
      exit: 'verifyFailed',
      message: expect.stringContaining('replaced'),
    });
  });

  it('a store that answers a range with everything is noticed', async () => {
    strike(isGet, async exchange => {
      await answer(200, 'everything', { etag: '"x"' })(exchange);
    });
    expect(await caught(readAll(store.get('object', { from: 2, to: 4 })))).toMatchObject({ exit: 'verifyFailed' });
  });

  it('S09: 200 reads that stop early leave every connection free', async () => {
    store = storeAt(faulty, bucket, { connections: 2 }, clock);
    await pMap(
      Array.from({ length: 200 }),
      async () => {
        for await (const _ of store.get('object')) break;
      },
      { concurrency: 20 },
    );
    expect(await store.stat('object')).toMatchObject({ bytes: bytes.length });
  });

  it('reads nothing from an empty object, an empty range and behind the end', async () => {
    await putBytes(store, 'empty', Buffer.alloc(0));
    expect(await readAll(store.get('empty'))).toHaveLength(0);
    expect(await readAll(store.get('empty', { from: 0, to: 10 }))).toHaveLength(0);
    expect(await readAll(store.get('object', { from: 5, to: 5 }))).toHaveLength(0);
    expect(await readAll(store.get('object', { from: 3_000_000 }))).toHaveLength(0);
    expect(await caught(readAll(store.get('none', { from: 5, to: 5 })))).toMatchObject({ exit: 'notFound' });
  });
});

describe('listing', () => {
  it('S12: 1,500 keys are all there, whatever the page', async () => {
    const keys = Array.from({ length: 1500 }, (_, n) => `pg/${String(n).padStart(4, '0')}`);
    await fill(keys);
    expect(await keysOf(store, 'pg/')).toEqual(keys);
    strike(isListing, listing({ page: 400 }));
    expect(await keysOf(store, 'pg/')).toEqual(keys);
  });

  it.each([
    ['more without a token', listing({ page: 10, tokenLost: true })],
    ['HTML', answer(200, '<html><body>Welcome</body></html>')],
    ['nothing', answer(200, '')],
    ['an error', accessDenied],
  ])('S12: a page that is %s is an error, never a shorter list', async (_, act) => {
    await fill(Array.from({ length: 30 }, (_, n) => `pg/${n}`));
    strike(isListing, listing({ page: 10 }), 1);
    strike(isListing, act);
    const error = await caught(keysOf(store, 'pg/'));
    expect(error).toMatchObject({ exit: 'storeUnreachable', message: expect.stringContaining('ListObjectsV2 of pg/*') });
  });

  it('a page that fails for a while is asked for again', async () => {
    await fill(Array.from({ length: 30 }, (_, n) => `pg/${n}`));
    strike(isListing, listing({ page: 20 }), 1);
    strike(isListing, cutAfter(300, { length: false }), 1);
    strike(isListing, slowDown, 1);
    expect(await keysOf(store, 'pg/')).toHaveLength(30);
  });

  it('PG05: keys in no order are all there', async () => {
    const keys = Array.from({ length: 50 }, (_, n) => `pg/${n}`);
    await fill(keys);
    strike(isListing, listing({ page: 20, shuffled: true }));
    expect((await keysOf(store, 'pg/')).sort()).toEqual(keys.sort());
  });

  it('PG18: what a console puts into a bucket as a folder is listed as the stray that it is, beside the objects', async () => {
    const client = s3Client(versity);
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'pg/parts/', Body: Buffer.alloc(0) })).finally(() => client.destroy());
    await fill(['pg/parts/1']);
    expect(await keysOf(store, 'pg/')).toEqual(['pg/parts/', 'pg/parts/1']);
  });
});

describe('giving up and going on', () => {
  const begin = async (): Promise<{ upload: Upload; block: Buffer }> => ({
    upload: await store.open('big'),
    block: Buffer.alloc(store.blockBytes),
  });

  it.each([
    ['SlowDown', slowDown],
    ['502 with HTML', answer(502, '<html>bad gateway</html>')],
    ['a dropped connection', drop],
  ])('%s is tried again, each time later', async (_, act) => {
    strike(seen => isPut(seen) || isPart(seen), act, 3);
    await putBytes(store, 'small', Buffer.from('x'));
    expect(clock.waits).toHaveLength(3);
    expect(clock.waits).toEqual([...clock.waits].sort((a, b) => a - b));
  });

  it('a connection on which nothing moves is given up', async () => {
    store = storeAt(faulty, bucket, { idleTimeout: '2s' }, clock);
    strike(isPut, stall, 1);
    await putBytes(store, 'small', Buffer.from('x'));
    expect(clock.waits).toHaveLength(1);
  });

  it('what stays broken is tried as often as the settings say', async () => {
    store = storeAt(faulty, bucket, { retries: 2 }, clock);
    strike(isHead, slowDown);
    const error = await caught(store.stat('a'));
    expect(error).toMatchObject({
      exit: 'storeUnreachable',
      message: expect.stringMatching(/far .*HeadObject of a failed: 503.*tried 3 times/),
    });
  });

  it('nobody there: few tries', async () => {
    const nobody = storeAt({ ...faulty, endpoint: 'http://127.0.0.1:1' }, bucket, { retries: 20 }, clock);
    expect(await caught(nobody.stat('a'))).toMatchObject({ exit: 'storeUnreachable', message: expect.stringContaining('ECONNREFUSED') });
    expect(clock.waits).toHaveLength(2);
  });

  it('a store that answered before and refuses for a while is waited for', async () => {
    const port = await freePort();
    let close = await tunnel(port);
    const waits: number[] = [];
    const sleep = async (ms: number) => {
      if (waits.push(ms) === 4) close = await tunnel(port);
    };
    const behind = storeAt({ ...versity, endpoint: `http://127.0.0.1:${port}` }, bucket, {}, { now: () => new Date(), sleep });
    await putBytes(behind, 'small', Buffer.from('x'));
    await close();
    expect(await behind.stat('small')).toMatchObject({ bytes: 1 });
    expect(waits).toHaveLength(4);
    await close();
  });

  it('S10: part 10001 is refused before it is sent', async () => {
    const { upload } = await begin();
    const asked = await countDuring(isPart, async () => {
      expect(await caught(upload.block(10_000, Buffer.from('x'), sha256(Buffer.from('x'))))).toMatchObject({ exit: 'failed' });
    });
    expect(asked).toBe(0);
  });

  it('S11: an upload that is given up while parts are on their way waits for them, and leaves nothing', async () => {
    const { upload, block } = await begin();
    await upload.block(0, block, sha256(block));
    strike(isPart, stall);
    const flight = caught(upload.block(1, block, sha256(block)));
    await upload.abort();
    expect(await flight).toMatchObject({ name: 'BkpError' });
    expect(await uploadsLeft()).toBe(0);
    expect(await caught(upload.block(2, block, sha256(block)))).toMatchObject({ exit: 'failed' });
    expect(await caught(upload.commit())).toMatchObject({ exit: 'failed' });
  });

  it('S11: a store is told again to forget an upload of which a part was cut off, since that part may bring it back', async () => {
    const { upload, block } = await begin();
    await upload.block(0, block, sha256(block));
    strike(isPart, stall);
    const flight = caught(upload.block(1, block, sha256(block)));
    // As if the part had come to its end behind this answer.
    strike(isAbort, answer(204, ''), 1);
    await upload.abort();
    await flight;
    expect(await uploadsLeft()).toBe(0);
    expect(clock.waits).toEqual([150, 150]);
  });

  it('an abort never throws', async () => {
    const { upload, block } = await begin();
    await upload.block(0, block, sha256(block));
    strike(isAbort, accessDenied);
    await upload.abort();
  });

  it('a part that fails for good fails the block, and nothing is published', async () => {
    strike(isPart, accessDenied);
    const error = await caught(putBytes(store, 'big', big()));
    expect(error).toMatchObject({ exit: 'storeUnreachable', message: expect.stringContaining('AccessDenied') });
    // As a policy of the bucket would name it.
    expect(error).toMatchObject({ next: [expect.stringContaining('needs the right s3:PutObject on the bucket')] });
    expect(await truth().stat('big')).toBeUndefined();
    expect(await uploadsLeft()).toBe(0);
  });

  it('blocks with a hole are not published', async () => {
    const { upload, block } = await begin();
    for (const n of [0, 2]) await upload.block(n, block, sha256(block));
    expect(await caught(upload.commit())).toMatchObject({ exit: 'failed', message: expect.stringContaining('block 1') });
    expect(await uploadsLeft()).toBe(0);
  });

  it.each([
    ['part', isPart, () => big(), 16_777_216],
    ['object', isPut, () => Buffer.alloc(2_000_000), 2_000_000],
  ])('S15: a %s that is too large for something on the way is not tried again; status and size are told', async (_, when, bytes, size) => {
    strike(when, tooLargeHtml);
    const tries = await countDuring(when, async () => {
      const error = await caught(putBytes(store, 'big', bytes()));
      expect(error).toMatchObject({ exit: 'storeUnreachable', message: expect.stringMatching(new RegExp(`${size} bytes\\) failed: 413`)) });
      expect(error.next.join()).toContain('17 MiB');
    });
    expect(tries).toBe(1);
  });

  it.each([
    [20 * 60_000, /clock of this machine is 20 minutes behind/],
    [-70_000, /clock of this machine is 7[01] seconds ahead of/],
  ])('S16: clocks that differ by %i ms: the gap is named, and nothing is tried again', async (ms, gap) => {
    store = storeAt(faulty, bucket);
    strike(isPut, tooSkewed(ms));
    const tries = await countDuring(isPut, async () => {
      expect(await caught(putBytes(store, 'small', Buffer.from('x')))).toMatchObject({
        exit: 'storeUnreachable',
        message: expect.stringMatching(gap),
      });
    });
    expect(tries).toBe(1);
  });

  it('S16: an answer to HEAD has no code, and the gap is named all the same; the next request is not signed by a guess', async () => {
    strike(isHead, tooSkewed());
    expect(await caught(store.stat('a'))).toMatchObject({ message: expect.stringContaining('20 minutes behind') });
    faulty.faults = [];
    await putBytes(store, 'small', Buffer.from('x'));
    const signed = String(faulty.log.findLast(isPut)?.headers['x-amz-date']);
    const at = Date.parse(signed.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
    expect(Math.abs(at - Date.now())).toBeLessThan(10 * 60_000);
  });

  it('S16: doctor says how far the clocks are apart before a store refuses', async () => {
    strike(
      ({ query }) => query.has('lifecycle'),
      exchange =>
        answer(404, errorXml('NoSuchLifecycleConfiguration', 'none'), { date: new Date(Date.now() + 200_500).toUTCString() })(exchange),
    );
    store = storeAt(faulty, bucket);
    const checks: unknown[] = [];
    for await (const check of store.doctor!('pg/app')) checks.push(check);
    expect(checks).toMatchObject([{ state: 'ok' }, { state: 'warn', text: expect.stringMatching(/(199|2\d\d) s behind/) }]);
  });

  it('S17: keys that may not be deleted are reported one by one, the others go', async () => {
    for (const key of ['held', 'free']) await putBytes(store, key, Buffer.from(key));
    const locked = answer(403, errorXml('AccessDenied', 'Access Denied because object protected by object lock.'));
    strike(({ method, path }) => method === 'DELETE' && path.endsWith('/held'), locked);
    strike(({ method, path }) => method === 'DELETE' && path.endsWith('/denied'), accessDenied);
    expect(await store.remove(['held', 'denied', 'free', 'a//b'])).toEqual([
      { key: 'held', ok: false, locked: true, reason: expect.stringContaining('object lock') },
      { key: 'denied', ok: false, reason: expect.stringContaining('AccessDenied') },
      { key: 'free', ok: true },
      { key: 'a//b', ok: false, reason: expect.anything() },
    ]);
    expect(await keysOf(store)).toEqual(['held']);
  });

  it('a store that answers no deletion is unreachable', async () => {
    strike(({ method }) => method === 'DELETE', slowDown);
    expect(await caught(store.remove(['a', 'b']))).toMatchObject({ exit: 'storeUnreachable' });
  });

  it('powers that were not learnt are asked for again', async () => {
    strike(() => true, slowDown);
    expect(await caught(store.powers())).toMatchObject({ exit: 'storeUnreachable' });
    faulty.faults = [];
    expect(await store.powers()).toMatchObject({ conditionalPut: true });
    expect(
      await countDuring(
        () => true,
        () => store.powers(),
      ),
    ).toBe(0);
  });

  it('a key that may only read has no conditional writes, and is no failure', async () => {
    strike(({ method }) => method !== 'GET', accessDenied);
    expect(await store.powers()).toEqual({ conditionalPut: false, versions: false, locks: false });
  });
});
