import { randomBytes } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Store } from '../../../../core/contracts.ts';
import { sentence } from '../../../../core/errors.ts';
import { putBytes } from '../../../../flow/bytes.ts';
import { accessOf, type Context, prefixOf } from './context.ts';
import { reachFor } from './program.ts';
import { areBothS3, type Reach } from './reach.ts';

const TYPES = new Set(['data', 'keys', 'locks', 'snapshots', 'index']);
const LIST = 'application/vnd.x.restic.rest.v2';
const LOCK_BYTES = 64 * 1024;

/** Where an object of restic lies: files of data are sorted into folders by their first two digits. */
export function keyOf(prefix: string, type: string, name: string): string | undefined {
  if (type === 'config' && name === '') return `${prefix}/config`;
  if (!TYPES.has(type) || !/^[0-9a-f]{64}$/.test(name)) return undefined;
  return type === 'data' ? `${prefix}/data/${name.slice(0, 2)}/${name}` : `${prefix}/${type}/${name}`;
}

/** `to` is exclusive. Undefined for what is no range of one part. */
export function rangeOf(header: string | undefined, size: number): { from: number; to: number } | undefined {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(header ?? '') ?? [];
  if (from === undefined) return undefined;
  return { from: Number(from), to: Math.min(size, to ? Number(to) + 1 : size) };
}

async function list(store: Store, prefix: string, type: string, answer: ServerResponse): Promise<void> {
  const found: { name: string; size: number }[] = [];
  for await (const { key, bytes } of store.list(`${prefix}/${type}/`)) {
    const name = key.slice(key.lastIndexOf('/') + 1);
    if (/^[0-9a-f]{64}$/.test(name)) found.push({ name, size: bytes });
  }
  answer.writeHead(200, { 'content-type': LIST }).end(JSON.stringify(found));
}

async function send(store: Store, key: string, request: IncomingMessage, answer: ServerResponse): Promise<void> {
  const seen = await store.stat(key);
  if (!seen) return void answer.writeHead(404).end();
  const range = rangeOf(request.headers.range, seen.bytes);
  const length = range ? Math.max(0, range.to - range.from) : seen.bytes;
  answer.writeHead(range ? 206 : 200, { 'content-length': length });
  if (request.method === 'HEAD') return void answer.end();
  for await (const chunk of store.get(key, range))
    if (!answer.write(Buffer.from(chunk))) await new Promise(resolve => answer.once('drain', resolve).once('close', resolve));
  answer.end();
}

async function take(store: Store, key: string, request: IncomingMessage, answer: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > LOCK_BYTES) return void answer.writeHead(413).end();
  }
  await putBytes(store, key, Buffer.concat(chunks));
  answer.writeHead(200).end();
}

async function serve(store: Store, prefix: string, request: IncomingMessage, answer: ServerResponse): Promise<void> {
  const [type = '', name = ''] = new URL(request.url ?? '/', 'http://bkp').pathname.slice(1).split('/');
  const { method } = request;
  if (method === 'GET' && TYPES.has(type) && name === '') return list(store, prefix, type, answer);
  const key = keyOf(prefix, type, name);
  if (key === undefined) return void answer.writeHead(404).end();
  if (method === 'GET' || method === 'HEAD') return send(store, key, request, answer);
  // Of a repository that is only copied from nothing but locks is written.
  if (type !== 'locks') return void answer.writeHead(403).end();
  if (method === 'POST') return take(store, key, request, answer);
  const [item] = await store.remove([key]);
  answer.writeHead(item?.ok ? 200 : 500).end();
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/**
 * Shows a repository to restic by its own REST protocol (doc/REST_backend.rst of restic), on a free port of loopback, to whom has a secret:
 * restic knows one account of S3 at a time, and a copy from one bucket into another needs two.
 */
async function bridged<T>(ctx: Context, store: Store, use: (reach: Reach) => Promise<T>): Promise<T> {
  const secret = randomBytes(24).toString('base64url');
  const wanted = `Basic ${Buffer.from(`bkp:${secret}`).toString('base64')}`;
  // Loaded by the one that needs it: all that it brings with it costs every start 50 ms.
  const { createServer } = await import('node:http');
  const server = createServer((request, answer) => {
    if (request.headers.authorization !== wanted) return void answer.writeHead(401).end();
    serve(store, prefixOf(ctx), request, answer).catch(error => {
      if (answer.headersSent) answer.destroy();
      else answer.writeHead(500).end(sentence(error));
    });
  });
  const port = await listening(server);
  try {
    return await use({ repository: `rest:http://bkp:${secret}@127.0.0.1:${port}/`, env: {}, args: [] });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Lets restic reach the repository of a store beside that of another one, to which it writes. */
export async function withSource<T>(ctx: Context, from: Store, to: Store, use: (source: Reach) => Promise<T>): Promise<T> {
  if (areBothS3(accessOf(ctx, from), accessOf(ctx, to))) return bridged(ctx, from, use);
  return use(await reachFor(ctx, from));
}
