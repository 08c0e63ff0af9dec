import { randomBytes } from 'node:crypto';
import { createServer as createHttp, type Server as HttpServer } from 'node:http';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { BkpError } from '../../../src/core/errors.ts';
import { putBytes, readAll } from '../../../src/flow/bytes.ts';
import { selfSigned } from '../../real/rig/certificate.ts';
import { cleanUp, type S3Server, startVersity, stopAllS3 } from '../../real/rig/index.ts';
import { stillClock, storeAt } from './s3rig.ts';

let versity: S3Server;
let secured: S3Server;
let ca: string;
const servers: Server[] = [];
const sockets = new Set<Socket>();

async function listen<S extends Server>(server: S): Promise<{ server: S; port: number }> {
  server.on('connection', socket => sockets.add(socket));
  servers.push(server);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

/** Bytes both ways until one side is gone. */
function pump(one: Socket, two: Socket): void {
  for (const socket of [one, two]) socket.on('error', () => {}).on('close', () => [one, two].map(each => each.destroy()));
  one.pipe(two).pipe(one);
}

beforeAll(async () => {
  versity = await startVersity();
  const made = (await selfSigned('rig', 'IP:127.0.0.1')).pem;
  ca = made.cert;
  const behind = Number(new URL(versity.endpoint).port);
  const { port } = await listen(createTls(made, socket => pump(socket, connect(behind, '127.0.0.1'))));
  secured = { ...versity, endpoint: `https://127.0.0.1:${port}` };
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  await stopAllS3();
  await cleanUp();
});

interface Tunnels {
  proxy: string;
  /** What was asked for, and by whom. */
  asked: { to: string; by: string | undefined }[];
  server: HttpServer;
}

async function startTunnels(): Promise<Tunnels> {
  const asked: Tunnels['asked'] = [];
  const server = createHttp((request, response) => {
    asked.push({ to: request.url ?? '', by: request.headers['proxy-authorization'] });
    response.writeHead(502).end();
  });
  server.on('connect', (request, socket: Socket, head: Buffer) => {
    asked.push({ to: request.url ?? '', by: request.headers['proxy-authorization'] });
    const up = connect(Number(request.url!.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      up.write(head);
      pump(socket, up);
    });
  });
  const { port } = await listen(server);
  return { proxy: `http://user:p%40ss@127.0.0.1:${port}`, asked, server };
}

it('a certificate of an authority that only this store knows is taken with ca, and by few connections', async () => {
  const store = storeAt(secured, await versity.bucket(), { ca, connections: 2 });
  const before = sockets.size;
  const bytes = randomBytes(3 * store.blockBytes);
  await putBytes(store, 'big', bytes);
  expect(Buffer.compare(await readAll(store.get('big')), bytes)).toBe(0);
  await Promise.all(Array.from({ length: 20 }, () => store.stat('big')));
  expect(sockets.size - before).toBeLessThanOrEqual(2);
});

it('without it the store is unreachable at once, and ca is named', async () => {
  const clock = stillClock();
  const error = await storeAt(secured, 'any', {}, clock)
    .stat('a')
    .catch(caught => caught);
  expect(error).toMatchObject({ exit: 'storeUnreachable', message: expect.stringMatching(/SELF_SIGNED|CERT/) });
  expect(error.next.join()).toContain('ca');
  expect(clock.waits).toEqual([]);
});

it('an endpoint that does not speak TLS is told as such, once, with what to correct', async () => {
  const store = await storeAt({ ...versity, endpoint: versity.endpoint.replace('http:', 'https:') }, 'bucket');
  const error = await readAll(store.get('x')).catch(error => error);
  expect(error).toMatchObject({ exit: 'storeUnreachable', next: [expect.stringContaining('http:// in place of https://')] });
  expect(error.message).toMatch(/EPROTO: what answers there does not speak TLS$/);
});

it('a proxy is gone through, with few tunnels and its password', async () => {
  const { proxy, asked } = await startTunnels();
  const store = storeAt(secured, await versity.bucket(), { ca, connections: 2 }, stillClock(), { proxy });
  for (const key of ['a', 'b', 'c']) await putBytes(store, key, Buffer.from(key));
  expect((await readAll(store.get('a'))).toString()).toBe('a');
  const { host } = new URL(secured.endpoint);
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.length).toBeLessThanOrEqual(2);
  for (const tunnel of asked) expect(tunnel).toEqual({ to: host, by: `Basic ${Buffer.from('user:p@ss').toString('base64')}` });
});

it('plain HTTP goes through the proxy too, and a proxy that does not answer is an error without its password', async () => {
  const { proxy, asked, server } = await startTunnels();
  const error: BkpError = await storeAt(versity, 'any', { retries: 0 }, stillClock(), { proxy })
    .stat('a')
    .then(
      () => new BkpError('failed', 'none'),
      caught => caught,
    );
  expect(error).toMatchObject({ exit: 'storeUnreachable' });
  expect(asked).toMatchObject([{ to: expect.stringContaining(versity.endpoint) }]);
  server.close();
  for (const socket of sockets) socket.destroy();
  const gone: BkpError = await storeAt(secured, 'any', { ca }, stillClock(), { proxy })
    .stat('a')
    .then(
      () => new BkpError('failed', 'none'),
      caught => caught,
    );
  expect(gone).toMatchObject({ exit: 'storeUnreachable' });
  expect(`${gone.message}${gone.next}`).not.toMatch(/p%40ss|p@ss/);
});
