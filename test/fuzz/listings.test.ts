import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ObjectInfo, Store } from '../../src/core/contracts.ts';
import { storeAt } from '../providers/stores/s3rig.ts';
import { type Listener, startListener } from '../real/rig/listener.ts';
import { bent, bytesChange } from './mutate.ts';
import { RUNS, toldLater } from './told.ts';

let server: Listener;
beforeAll(async () => {
  server = await startListener();
});
afterAll(() => server.stop());

const PREFIX = 'bkp/production/redis/cache/';
const KEYS = { region: 'us-east-1', accessKey: 'AKIDEXAMPLE', secretKey: 'a secret of the tests' };
const open = (): Store =>
  storeAt({ ...KEYS, endpoint: server.address, bucket: async () => 'b', stop: async () => {} }, 'b', { retries: 1, pathStyle: true });

const XML = '<?xml version="1.0" encoding="UTF-8"?>\n';
const object = (n: number): string =>
  `<Contents><Key>${PREFIX}backups/${n}</Key><LastModified>2026-01-15T02:00:0${n}.000Z</LastModified><ETag>&quot;e${n}&quot;</ETag><Size>${100 + n}</Size><StorageClass>STANDARD</StorageClass></Contents>`;
const listing = (more: string, items: string): string =>
  `${XML}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>${PREFIX}</Prefix><KeyCount>3</KeyCount><MaxKeys>1000</MaxKeys>${more}${items}</ListBucketResult>`;
const whole = listing('<IsTruncated>false</IsTruncated>', [1, 2, 3].map(object).join(''));
const paged = (token: string): string =>
  listing(`<IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>`, object(1));

const version = (n: number, latest: boolean): string =>
  `<Version><Key>${PREFIX}backups/${n}</Key><VersionId>v${n}</VersionId><IsLatest>${latest}</IsLatest><LastModified>2026-01-15T02:00:0${n}.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>${n}</Size></Version>`;
const versions = `${XML}<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>${PREFIX}</Prefix><KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>${version(1, true)}${version(2, false)}<DeleteMarker><Key>${PREFIX}backups/3</Key><VersionId>v3</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-15T02:00:03.000Z</LastModified></DeleteMarker></ListVersionsResult>`;

const uploads = `${XML}<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>b</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker><MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated><Upload><Key>${PREFIX}backups/1</Key><UploadId>u1</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload></ListMultipartUploadsResult>`;

/** Answers every question of a listing with this, and takes every deletion. */
function answer(status: number, body: string | ((nth: number) => string)): void {
  server.asked.length = 0;
  server.act = ({ method }, response, nth) => {
    if (method === 'DELETE') return void response.writeHead(204).end();
    response.writeHead(status, { 'content-type': 'application/xml', date: new Date().toUTCString() });
    response.end(typeof body === 'string' ? body : body(nth));
  };
}

async function listed(): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  for await (const info of open().list(PREFIX)) found.push(info);
  return found;
}

const removed = (): string[] => server.asked.filter(({ method }) => method === 'DELETE').map(({ url }) => url);

/** Bytes that differ, and pieces of XML that go elsewhere. */
const broken = (body: string) =>
  fc.oneof(
    fc.array(bytesChange, { minLength: 1, maxLength: 3 }).map(changes => bent(Buffer.from(body), changes).toString('latin1')),
    fc
      .record({
        tag: fc.constantFrom(...new Set([...body.matchAll(/<(\w+)>/g)].map(match => match[1]!))),
        as: fc.constantFrom(
          '',
          '<$></$>',
          '<$>-1</$>',
          '<$>x</$>',
          '<$>1e99</$>',
          '<$><$>1</$></$>',
          '<$>1</$><$>2</$>',
          '<$>../../x</$>',
          '<$>NaN</$>',
          '<$/>',
        ),
      })
      .map(({ tag, as }) => body.replace(new RegExp(`<${tag}>.*?</${tag}>`, 's'), () => as.replaceAll('$', tag))),
    fc.constantFrom(
      '',
      ' ',
      'null',
      '{}',
      '<html><body>welcome</body></html>',
      XML,
      '<ListBucketResult/>',
      '<ListBucketResult></ListBucketResult>',
      '<Error/>',
    ),
  );
const statuses = fc.constantFrom(200, 200, 200, 200, 201, 204, 206, 301, 307, 400, 403, 404, 500);

describe('whatever a store answers to a listing', () => {
  it('what is whole is read', async () => {
    answer(200, whole);
    expect((await listed()).map(({ key, bytes }) => [key.slice(-1), bytes])).toEqual([
      ['1', 101],
      ['2', 102],
      ['3', 103],
    ]);
  });

  it('each object has a key of what was asked for, a size and an instant, or it is refused in words', async () => {
    await fc.assert(
      fc.asyncProperty(statuses, broken(whole), async (status, body) => {
        answer(status, body);
        const outcome = await toldLater(listed);
        for (const { key, bytes, modified } of 'value' in outcome ? outcome.value : []) {
          expect(key.startsWith(PREFIX)).toBe(true);
          expect(Number.isSafeInteger(bytes) && bytes >= 0).toBe(true);
          expect(Number.isFinite(modified.getTime())).toBe(true);
        }
        expect(server.asked.length).toBeLessThan(10);
      }),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  });

  it('the beginning of a listing is none', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), async end => {
        answer(200, whole.slice(0, end));
        expect(await toldLater(listed)).toHaveProperty('error');
      }),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  });

  it.each([
    ['says the same', () => paged('t')],
    ['goes round in a circle', (nth: number) => paged(`t${nth % 3}`)],
  ])('a page that %s for ever comes to an end', async (_, page) => {
    answer(200, page);
    expect(await toldLater(listed)).toMatchObject({ error: { exit: 'storeUnreachable' } });
    expect(server.asked.length).toBeLessThan(10);
  });
});

describe('whatever a store answers about versions and uploads', () => {
  it('of versions that are whole, those that are hidden go, and no other', async () => {
    answer(200, versions);
    expect(await open().hidden!(PREFIX)).toEqual({ objects: 2, bytes: 2 });
    await open().purge!(PREFIX);
    expect(removed().map(url => /versionId=(\w+)/.exec(url)?.[1])).toEqual(expect.not.arrayContaining(['v1']));
  });

  it('no version is removed that the answer does not show as hidden', async () => {
    await fc.assert(
      fc.asyncProperty(broken(versions), async body => {
        answer(200, body);
        await toldLater(() => open().purge!(PREFIX));
        for (const url of removed()) {
          expect(decodeURIComponent(url)).toContain(PREFIX);
          expect(url).toMatch(/versionId=[^&]/);
          expect(url).not.toMatch(/versionId=(v1|null)(&|$)/);
        }
      }),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  });

  it('no upload is given up that is not under the prefix and old', async () => {
    await fc.assert(
      fc.asyncProperty(broken(uploads), async body => {
        answer(200, body);
        await toldLater(() => open().sweep!(PREFIX, new Date('2026-01-10T00:00:00Z')));
        for (const url of removed()) expect(decodeURIComponent(url)).toContain(PREFIX);
      }),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  });
});
