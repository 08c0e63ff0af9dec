import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from '@jest/globals';
import { readAll } from '../../../src/flow/bytes.ts';
import { storeAt } from './s3rig.ts';

/** A store behind a proxy that gives every answer itself. */
async function behind(answer: RequestListener, more: object = {}) {
  const proxy = createServer(answer);
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const server = { endpoint: 'http://s3.example.org:9000', region: 'us-east-1', accessKey: 'key', secretKey: 'secret' };
  const store = storeAt(server as never, 'bucket', { proxy: address, retries: 1, ...more });
  return { store, [Symbol.dispose]: () => void proxy.close() };
}

it.each([
  [true, 'http://s3.example.org:9000/bucket/a/b%2Bc%3Dd%40e'],
  [false, 'http://bucket.s3.example.org:9000/a/b%2Bc%3Dd%40e'],
])('reads an object at the address where the SDK looks at it, pathStyle: %s', async (pathStyle, address) => {
  const asked: string[] = [];
  using there = await behind(
    ({ method, url }, response) => {
      const { origin, pathname } = new URL(url!);
      asked.push(`${method} ${origin}${pathname}`);
      response.writeHead(200, { 'last-modified': new Date(0).toUTCString(), 'content-length': 0 }).end();
    },
    { pathStyle },
  );
  await there.store.stat('a/b+c=d@e');
  expect(await readAll(there.store.get('a/b+c=d@e'))).toHaveLength(0);
  expect(asked).toEqual([`HEAD ${address}`, `GET ${address}`]);
});

const xml = (code: string, message: string): string => `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;

it.each([
  [403, xml('AccessDenied', 'not &quot;you&quot;'), {}, 'GetObject of a failed: 403 AccessDenied: not "you"', /right to GetObject/],
  [301, xml('PermanentRedirect', 'elsewhere'), { 'x-amz-bucket-region': 'eu-1' }, '301 PermanentRedirect: elsewhere', /region \(eu-1\)/],
  [503, '', {}, 'failed: 503: Service Unavailable (tried 2 times)', undefined],
  [404, xml('NoSuchBucket', 'none'), {}, '404 NoSuchBucket: none', /make the bucket bucket/],
  [500, '<html>no S3</html>', {}, 'failed: 500', undefined],
])('a refusal of %i is told by its code and words: %s', async (status, body, headers, message, next) => {
  using there = await behind((_, response) => void response.writeHead(status, headers).end(body));
  const error = await readAll(there.store.get('a')).catch(caught => caught);
  expect(error).toMatchObject({ exit: 'storeUnreachable', message: expect.stringContaining(message), fault: { status } });
  expect(error.next.join()).toMatch(next ?? /^$/);
});

it('one connection serves many bodies, whole and broken off, and each is its own', async () => {
  const sockets = new Set();
  const bodyOf = (key: string): Buffer => Buffer.alloc(300_000, `/bucket/${key}`);
  using there = await behind(
    ({ url, socket }, response) => {
      sockets.add(socket);
      response.end(bodyOf(new URL(url!).pathname.replace('/bucket/', '')));
    },
    { connections: 1 },
  );
  for (let n = 0; n < 30; n += 1) {
    const bytes = await readAll(there.store.get(`object-${n}`));
    expect(bytes.equals(bodyOf(`object-${n}`))).toBe(true);
  }
  expect(sockets.size).toBe(1);
  for await (const _ of there.store.get('object-30')) break;
  expect((await readAll(there.store.get('object-31'))).equals(bodyOf('object-31'))).toBe(true);
  expect(sockets.size).toBe(2);
});
