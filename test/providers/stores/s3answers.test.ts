import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from '@jest/globals';
import { readAll } from '../../../src/flow/bytes.ts';
import { waitFor } from '../../real/rig/index.ts';
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

it('a listing asks for one page ahead, and given up it leaves no request on its way', async () => {
  const asked: string[] = [];
  let gone = 0;
  const page = (n: number): string =>
    `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>${n}</NextContinuationToken><Contents><Key>a${n}</Key><Size>1</Size><LastModified>2026-01-15T02:00:00.000Z</LastModified></Contents></ListBucketResult>`;
  using there = await behind(({ url }, response) => {
    const n = Number(new URL(url!).searchParams.get('continuation-token') ?? 0);
    asked.push(`${n}`);
    response.on('close', () => {
      gone += response.writableEnded ? 0 : 1;
    });
    if (n < 2) response.end(page(n + 1));
  });
  const keys: string[] = [];
  for await (const { key } of there.store.list('')) {
    keys.push(key);
    if (keys.length < 2) continue;
    await waitFor(() => asked.length === 3, 'the third page to be asked for');
    break;
  }
  expect(keys).toEqual(['a1', 'a2']);
  await waitFor(() => gone === 1, 'the request to be given up');
  expect(asked).toEqual(['0', '1', '2']);
});

it('404 for an object that was asked for says that it is not there; for a listing it says that the store is not itself', async () => {
  const gone = '<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>';
  using there = await behind((_, response) => void response.writeHead(404, { 'content-type': 'application/xml' }).end(gone));
  await expect(readAll(there.store.get('a'))).rejects.toMatchObject({ exit: 'notFound' });
  const listed = async () => {
    for await (const { key } of there.store.list('a/')) throw new Error(`there is ${key}`);
  };
  await expect(listed()).rejects.toMatchObject({ exit: 'storeUnreachable', message: expect.stringContaining('404 NoSuchKey: gone') });
});
