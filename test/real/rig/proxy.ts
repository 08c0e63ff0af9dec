import { request as ask, createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, type Readable } from 'node:stream';
import { endpointAt, type S3Server, stoppable } from './s3.ts';

/** A request as it came in. */
export interface Seen {
  /** 1 for the first request of the proxy's life. */
  readonly n: number;
  readonly method: string;
  /** `/bucket/key`, decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
}

/** A request in the log, in order of arrival. */
export interface Entry extends Seen {
  /** What the client was told; undefined while, or because, nothing was. */
  readonly status: number | undefined;
}

/** One request, the answer to be given, and the way to the server behind. */
export interface Exchange {
  readonly seen: Seen;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Lets the server behind do it, with `body` in place of the client's stream of the same bytes. @throws when it is gone */
  forward(body?: Readable): Promise<IncomingMessage>;
}

export type Handler = (exchange: Exchange) => void | Promise<void>;

export interface LoggingS3 extends S3Server {
  readonly log: readonly Entry[];
  /** Empties the log, which would grow as long as the proxy lives. */
  forget(): void;
}

/** Headers of one connection, which end at the proxy, and `expect`, which it has already granted. */
const OWN = new Set(['connection', 'keep-alive', 'transfer-encoding', 'expect']);

/** Raw headers (name, value, name, value…) without those of the connection and those named. */
export function passed(raw: readonly string[], without: readonly string[] = []): string[] {
  const stays = (name: string) => !OWN.has(name.toLowerCase()) && !without.includes(name.toLowerCase());
  return raw.flatMap((name, at) => (at % 2 === 0 && stays(name) ? [name, raw[at + 1]!] : []));
}

/** An error as S3 words it. */
export const errorXml = (code: string, message: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>rig</RequestId></Error>`;

/** Answers without asking the server behind. HEAD gets no body, as HTTP wants it. */
export function reply({ response, seen }: Exchange, status: number, headers: Record<string, string>, body: string): void {
  const length = String(Buffer.byteLength(body));
  response.writeHead(status, { 'content-type': 'application/xml', 'content-length': length, ...headers });
  response.end(seen.method === 'HEAD' ? undefined : body);
}

/** Writes the head of an answer of the server behind, as it is but for the headers named. */
export function head(response: ServerResponse, from: IncomingMessage, without: readonly string[] = []): void {
  response.writeHead(from.statusCode ?? 502, passed(from.rawHeaders, without));
}

/** Hands the answer of the server behind to the client as it is. */
export function relay({ response }: Exchange, from: IncomingMessage): void {
  head(response, from);
  pipeline(from, response, () => {});
}

const decoded = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};

function seenIn(request: IncomingMessage, n: number): Seen {
  const [path = '/', ...query] = (request.url ?? '/').split('?');
  const { method = 'GET', headers } = request;
  return { n, method, path: decoded(path), query: new URLSearchParams(query.join('?')), headers };
}

/** An entry lets go of the answer once that is over: with it goes its connection, and a long run has hundreds of thousands. */
function entryOf(seen: Seen, response: ServerResponse): Entry {
  let live: ServerResponse | undefined = response;
  let last: number | undefined;
  const status = (): number | undefined => (live ? (live.headersSent ? live.statusCode : undefined) : last);
  response.once('close', () => {
    last = status();
    live = undefined;
  });
  return Object.defineProperty({ ...seen, status: undefined }, 'status', { get: status, enumerable: true });
}

/** Sends a request on, the client's Host with it: the signature covers it. A client that leaves takes the request along. */
function forwarder(behind: URL, request: IncomingMessage, response: ServerResponse) {
  return (body: Readable = request): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { method, url: path, rawHeaders } = request;
      const bare = !('content-length' in request.headers || 'transfer-encoding' in request.headers);
      const headers = [...passed(rawHeaders), ...(bare && method !== 'GET' && method !== 'HEAD' ? ['content-length', '0'] : [])];
      const up = ask({ host: behind.hostname, port: behind.port, method, path, headers, agent: false, setHost: false });
      up.once('response', resolve).on('error', reject);
      response.once('close', () => up.destroy());
      body.once('error', error => up.destroy(error)).pipe(up);
    });
}

async function answer(handle: Handler, exchange: Exchange): Promise<void> {
  const { response } = exchange;
  response.sendDate = false;
  try {
    await handle(exchange);
  } catch {
    response.destroy();
  }
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/**
 * Starts a proxy on a free loopback port, with the keys and buckets of the server behind. A handler that fails, because that server is
 * gone, closes the client's connection. Idle connections are kept for ever, so that none is closed just as a client uses it again.
 */
export async function startProxy(behind: S3Server, handle: Handler): Promise<LoggingS3> {
  const log: Entry[] = [];
  let count = 0;
  const target = new URL(behind.endpoint);
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    count += 1;
    const seen = seenIn(request, count);
    log.push(entryOf(seen, response));
    void answer(handle, { seen, request, response, forward: forwarder(target, request, response) });
  });
  const endpoint = endpointAt(await listen(server));
  const stop = stoppable(async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  });
  const forget = (): void => void log.splice(0);
  const { region, accessKey, secretKey } = behind;
  return { endpoint, region, accessKey, secretKey, bucket: options => behind.bucket(options), stop, log, forget };
}
