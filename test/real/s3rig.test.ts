import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import {
  accessDenied,
  afterwards,
  type B2,
  cleanUp,
  cutAfter,
  delay,
  drop,
  errorIn200,
  type FaultyS3,
  isAlive,
  isListing,
  listing,
  node24,
  pause,
  root,
  type S3Server,
  s3Client,
  slowDown,
  stall,
  stallAfter,
  start,
  startB2,
  startFaulty,
  startRgw,
  startVersity,
  stopAllS3,
  throttle,
  tooLargeHtml,
  tooSkewed,
  waitFor,
} from './rig/index.ts';

const MIB = 1024 * 1024;

let rgw: S3Server;
let versity: S3Server;

beforeAll(async () => {
  [rgw, versity] = await Promise.all([startRgw(), startVersity()]);
});

afterAll(async () => {
  await stopAllS3();
  await cleanUp();
});

const server = (name: string): S3Server => (name === 'RGW' ? rgw : versity);

const bytesOf = async (client: S3Client, Bucket: string, Key: string): Promise<Buffer> => {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
  return Buffer.from(await Body!.transformToByteArray());
};

async function upload(client: S3Client, Bucket: string, Key: string, blocks: Buffer[]): Promise<void> {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const Parts = [];
  for (const [index, Body] of blocks.entries()) {
    const PartNumber = index + 1;
    const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
    Parts.push({ PartNumber, ETag });
  }
  await client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
}

/** Names on each page, common prefixes among them. */
async function pagesOf(client: S3Client, Bucket: string, more: Partial<ListObjectsV2CommandInput> = {}): Promise<string[][]> {
  const pages: string[][] = [];
  for (let ContinuationToken: string | undefined; ; ) {
    const answer = await client.send(new ListObjectsV2Command({ Bucket, ...more, ContinuationToken }));
    pages.push([...(answer.Contents ?? []).map(({ Key }) => Key!), ...(answer.CommonPrefixes ?? []).map(({ Prefix }) => Prefix!)]);
    ContinuationToken = answer.NextContinuationToken;
    if (!ContinuationToken) return pages;
  }
}

const put = (client: S3Client, Bucket: string, more: Partial<PutObjectCommandInput> = {}) =>
  client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ...more }));

/** What the server says of a refused request: `status Code message`. */
const refusalOf = (sent: Promise<unknown>): Promise<string> =>
  sent.then(
    () => 'taken',
    error => `${error.$metadata?.httpStatusCode} ${error.name} ${error.message}`,
  );

describe.each(['RGW', 'versitygw'])('%s', name => {
  test('takes objects whole and in parts, gives them back and lists them by pages', async () => {
    const client = s3Client(server(name));
    const bucket = await server(name).bucket();
    const blocks = [randomBytes(5 * MIB), randomBytes(MIB)];
    await upload(client, bucket, 'a b/ü&', blocks);
    await put(client, bucket, { Key: 'c', Body: 'whole' });
    expect((await bytesOf(client, bucket, 'a b/ü&')).equals(Buffer.concat(blocks))).toBe(true);
    expect((await bytesOf(client, bucket, 'c')).toString()).toBe('whole');
    expect(await pagesOf(client, bucket, { MaxKeys: 1 })).toEqual([['a b/ü&'], ['c']]);
    expect((await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'c', Range: 'bytes=1-2' }))).ContentLength).toBe(2);
  });

  test('keeps versions where they are asked for: a deletion hides', async () => {
    const client = s3Client(server(name));
    const bucket = await server(name).bucket({ versions: true });
    await put(client, bucket);
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'k' }));
    const { Versions, DeleteMarkers } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    expect([await pagesOf(client, bucket), Versions?.length, DeleteMarkers?.length]).toEqual([[[]], 1, 1]);
  });

  test('wants the right secret, and a body of the hash that was signed', async () => {
    const bucket = await server(name).bucket();
    const stranger = s3Client({ ...server(name), secretKey: 'guessed' });
    expect(await refusalOf(put(stranger, bucket))).toMatch(/^403 SignatureDoesNotMatch/);
    const other = s3Client(server(name));
    other.middlewareStack.add(
      next => args => {
        (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = '0'.repeat(64);
        return next(args);
      },
      { step: 'build', priority: 'low' },
    );
    expect(await refusalOf(put(other, bucket))).toMatch(/^400 XAmzContentSHA256Mismatch/);
  });
});

test('versitygw holds a locked version against its owner, and writes on condition', async () => {
  const client = s3Client(versity);
  const bucket = await versity.bucket({ lock: true });
  const until = { ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: new Date(Date.now() + 3_600_000) } as const;
  const { VersionId } = await put(client, bucket, { ...until, ChecksumAlgorithm: 'SHA256' });
  expect(await refusalOf(client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'k', VersionId })))).toMatch(/^403 AccessDenied/);
  expect(await refusalOf(put(client, bucket, { IfNoneMatch: '*' }))).toMatch(/^412 PreconditionFailed/);
});

describe('B2', () => {
  let b2: B2;
  let client: S3Client;
  let bucket: string;

  beforeAll(async () => {
    b2 = await startB2(versity);
    client = s3Client(b2);
    bucket = await b2.bucket();
  });

  test('takes plain signed objects and parts, and keeps versions unasked', async () => {
    await upload(client, bucket, 'parts', [randomBytes(5 * MIB), Buffer.from('end')]);
    await put(client, bucket);
    await put(client, bucket);
    const { Versions } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: 'k' }));
    expect([(await bytesOf(client, bucket, 'k')).toString(), Versions?.length]).toEqual(['x', 2]);
  });

  test.each<[string, Partial<PutObjectCommandInput>, string]>([
    ['tags', { Tagging: '' }, "400 InvalidArgument Unsupported header 'x-amz-tagging'"],
    ['an ACL', { ACL: 'private' }, "400 InvalidArgument Unsupported header 'x-amz-acl'"],
    ['a checksum', { ChecksumCRC32: 'rkv7Gw==' }, "400 InvalidArgument Unsupported header 'x-amz-checksum-crc32'"],
    ['a checksum by its name', { ChecksumAlgorithm: 'SHA256' }, '400 InvalidArgument Unsupported header'],
    ['create only', { IfNoneMatch: '*' }, '501 NotImplemented'],
    ['change only', { IfMatch: '"0"' }, '501 NotImplemented'],
    ['a lock without Content-MD5', { ObjectLockLegalHoldStatus: 'ON' }, '400 InvalidRequest Content-MD5'],
  ])('refuses %s', async (_, more, words) => {
    expect(await refusalOf(put(client, bucket, { Key: 'refused', ...more }))).toContain(words);
    expect(await refusalOf(client.send(new GetObjectCommand({ Bucket: bucket, Key: 'refused' })))).toMatch(/^404/);
  });

  test('refuses what the SDK sends unless told otherwise', async () => {
    const asIs = s3Client(b2, { requestChecksumCalculation: 'WHEN_SUPPORTED' });
    expect(await refusalOf(put(asIs, bucket))).toMatch(/^400 InvalidArgument Unsupported header 'x-amz-(sdk-checksum|checksum)/);
  });

  test('refuses a completion on condition, and chunk-signed bodies', async () => {
    const complete = { Bucket: bucket, Key: 'k', UploadId: 'u', IfNoneMatch: '*', MultipartUpload: { Parts: [] } };
    expect(await refusalOf(client.send(new CompleteMultipartUploadCommand(complete)))).toMatch(/^501 NotImplemented/);
    const headers = { 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', 'content-encoding': 'aws-chunked' };
    const status = await new Promise(resolve => {
      request(`${b2.endpoint}/${bucket}/k`, { method: 'PUT', headers, agent: false }, answer => resolve(answer.resume().statusCode)).end();
    });
    expect(status).toBe(400);
  });

  test('is busy when it is told to be', async () => {
    const from = b2.log.length;
    b2.busy = ({ n }) => n === from + 1;
    expect(await refusalOf(put(client, bucket))).toBe('503 ServiceUnavailable no tomes available');
    expect(await refusalOf(put(client, bucket))).toBe('taken');
  });
});

describe('the faulty server', () => {
  const body = randomBytes(200_000);
  let faulty: FaultyS3;
  let client: S3Client;
  let bucket: string;

  beforeAll(async () => {
    faulty = await startFaulty(rgw);
    client = s3Client(faulty);
    bucket = await faulty.bucket();
    await put(client, bucket, { Key: 'a', Body: body });
  });

  beforeEach(() => {
    faulty.faults = [];
  });

  const gets = ({ method }: { method: string }) => method === 'GET';
  const puts = ({ method }: { method: string }) => method === 'PUT';
  const got = (config: S3ClientConfig = {}, key = 'a') => bytesOf(s3Client(faulty, config), bucket, key);
  const impatient: S3ClientConfig = { requestHandler: { requestTimeout: 300, throwOnRequestTimeout: true, socketTimeout: 300 } };

  test('is as good as the server behind, through another proxy too', async () => {
    expect((await got()).equals(body)).toBe(true);
    const far = s3Client(await startFaulty(await startB2(versity)));
    const there = await versity.bucket();
    await upload(far, there, 'a b/ü&', [randomBytes(5 * MIB), body]);
    expect((await bytesOf(far, there, 'a b/ü&')).length).toBe(5 * MIB + body.length);
  });

  test('strikes as often as told, and logs what it saw', async () => {
    faulty.faults = [{ when: ({ path }) => path.endsWith('/b&'), times: 1, act: slowDown }];
    const from = faulty.log.length;
    expect(await refusalOf(put(client, bucket, { Key: 'b&', Body: body }))).toBe('503 SlowDown Please reduce your request rate.');
    await put(client, bucket, { Key: 'b&', Body: body });
    const seen = faulty.log.slice(from).map(({ n, method, path, query, status }) => [n, method, path, query.get('x-id'), status]);
    expect(seen).toEqual([
      [from + 1, 'PUT', `/${bucket}/b&`, 'PutObject', 503],
      [from + 2, 'PUT', `/${bucket}/b&`, 'PutObject', 200],
    ]);
    expect(faulty.log[from]?.headers['content-length']).toBe(String(body.length));
  });

  test('S15, S16, S17: answers with 413 HTML, a skewed clock, AccessDenied', async () => {
    const once = { when: puts, times: 1 };
    faulty.faults = [
      { ...once, act: tooLargeHtml },
      { ...once, act: tooSkewed() },
      { ...once, act: accessDenied },
    ];
    expect(await refusalOf(put(client, bucket))).toMatch(/^413 /);
    const skewed = await put(client, bucket).catch(error => error);
    const ahead = Date.parse(skewed.$response?.headers.date) - Date.now();
    expect(skewed.name).toBe('RequestTimeTooSkewed');
    expect(ahead).toBeGreaterThan(15 * 60_000);
    expect(await refusalOf(put(client, bucket))).toBe('403 AccessDenied Access Denied');
  });

  test('S05: 200 with an error in the body of a completion', async () => {
    faulty.faults = [{ when: ({ method, query }) => method === 'POST' && query.has('uploadId'), act: errorIn200() }];
    expect(await refusalOf(upload(client, bucket, 'parts', [body]))).toMatch(/InternalError/);
    expect(faulty.log.at(-1)?.status).toBe(200);
    expect(await refusalOf(got({}, 'parts'))).toMatch(/^404/);
  });

  test('S06: half a body, with its length and without', async () => {
    faulty.faults = [{ when: gets, act: cutAfter(100_000) }];
    await expect(got()).rejects.toThrow(/aborted|ECONNRESET|hang up/);
    faulty.faults = [{ when: gets, act: cutAfter(100_000, { length: false }) }];
    expect((await got()).equals(body.subarray(0, 100_000))).toBe(true);
  });

  test('falls silent before the head and within the body', async () => {
    faulty.faults = [{ when: gets, act: stall }];
    await expect(got(impatient)).rejects.toThrow(/timeout|timed out/i);
    faulty.faults = [{ when: gets, act: stallAfter(1000) }];
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a' }));
    const stream = Body as unknown as NodeJS.ReadableStream & { destroy(): void };
    let length = 0;
    stream.on('data', chunk => {
      length += chunk.length;
    });
    const over = jest.fn();
    stream.on('end', over).on('error', over);
    await waitFor(() => length === 1000);
    await pause(100);
    expect([length, over.mock.calls]).toEqual([1000, []]);
    stream.destroy();
  });

  test('drops connections, before the server behind did it and after', async () => {
    faulty.faults = [{ when: puts, act: drop }];
    await expect(put(client, bucket, { Key: 'never' })).rejects.toThrow(/ECONNRESET|hang up/);
    faulty.faults = [{ when: puts, act: afterwards(drop) }];
    await expect(put(client, bucket, { Key: 'lost', Body: 'there' })).rejects.toThrow(/ECONNRESET|hang up/);
    faulty.faults = [];
    expect(await refusalOf(got({}, 'never'))).toMatch(/^404/);
    expect((await got({}, 'lost')).toString()).toBe('there');
  });

  test('is slow, and whole all the same', async () => {
    faulty.faults = [
      { when: puts, act: throttle(1_000_000) },
      { when: gets, act: delay(50) },
    ];
    await put(client, bucket, { Body: body });
    expect((await got({}, 'k')).equals(body)).toBe(true);
  });
});

test.each(['RGW', 'versitygw'])('PG05, S12: pages of any size, keys out of order, a token lost, before %s', async name => {
  const keys = ['a', 'b&', "c'<ü", 'd/1', 'd/2', 'e'];
  const faulty = await startFaulty(server(name));
  const client = s3Client(faulty);
  const bucket = await faulty.bucket();
  for (const Key of keys) await put(client, bucket, { Key });
  faulty.faults = [{ when: isListing, act: listing({ page: 2 }) }];
  expect(await pagesOf(client, bucket)).toEqual([keys.slice(0, 2), keys.slice(2, 4), keys.slice(4)]);
  faulty.faults = [{ when: isListing, act: listing({ page: 1 }) }];
  expect(await pagesOf(client, bucket, { Delimiter: '/' })).toEqual([['a'], ['b&'], ["c'<ü"], ['d/'], ['e']]);
  faulty.faults = [{ when: isListing, act: listing({ page: 4, shuffled: true }) }];
  expect(await pagesOf(client, bucket)).toEqual([
    ['d/1', 'b&', 'a', "c'<ü"],
    ['e', 'd/2'],
  ]);
  faulty.faults = [{ when: isListing, act: listing({ page: 4, tokenLost: true }) }];
  const lost = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
  expect([lost.IsTruncated, lost.KeyCount, lost.Contents?.length, lost.NextContinuationToken]).toEqual([true, 4, 4, undefined]);
});

test.each([
  ['startRgw', 4],
  ['startVersity', 1],
])('a process that is killed outright leaves nothing of %s', async (name, processes) => {
  const script = `import { ${name} } from '${root}/test/real/rig/index.ts';
    import { guarded } from '${root}/test/real/rig/guard.ts';
    const dirs = [], pids = [];
    guarded.addDir = (add => dir => (dirs.push(dir), add(dir)))(guarded.addDir);
    guarded.addPid = (add => pid => (pids.push(pid), add(pid)))(guarded.addPid);
    await ${name}();
    console.log(JSON.stringify({ dirs, pids }));
    setInterval(() => {}, 1000);`;
  const victim = start(node24(), ['--no-warnings', '--input-type=module-typescript', '-e', script]);
  const line = await waitFor(() => victim.output().stdout.match(/^\{.*\}$/m)?.[0], 'the server to start');
  const { dirs, pids } = JSON.parse(line) as { dirs: string[]; pids: number[] };
  expect([dirs.length, pids.filter(isAlive).length]).toEqual([1, processes]);
  victim.kill('SIGKILL');
  await victim.ended;
  await waitFor(() => !pids.some(isAlive) && !dirs.some(existsSync), 'the guard to clean up');
});
