import type { IncomingMessage } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type Exchange, errorXml, type Handler, head, type LoggingS3, passed, relay, reply, type Seen, startProxy } from './proxy.ts';
import type { S3Server } from './s3.ts';
import { pause } from './wait.ts';

/** What to do instead of answering well. */
export type Act = Handler;

export interface Fault {
  when(seen: Seen): boolean;
  /** How often this object strikes at most; always, unless set. */
  times?: number;
  act: Act;
}

export interface FaultyS3 extends LoggingS3 {
  /** The first that fits strikes; the others stay as they were. Tests put faults in and take them out at any time. */
  faults: Fault[];
}

/** Starts a proxy before any server, which is as good as that server until a fault fits a request. */
export async function startFaulty(behind: S3Server): Promise<FaultyS3> {
  const struck = new Map<Fault, number>();
  const faulty: FaultyS3 = Object.assign(
    await startProxy(behind, async exchange => {
      const fits = (fault: Fault) => (struck.get(fault) ?? 0) < (fault.times ?? Number.POSITIVE_INFINITY) && fault.when(exchange.seen);
      const fault = faulty.faults.find(fits);
      if (!fault) return relay(exchange, await exchange.forward());
      struck.set(fault, (struck.get(fault) ?? 0) + 1);
      await fault.act(exchange);
    }),
    { faults: [] },
  );
  return faulty;
}

// ---- answers that are made up: the server behind never hears of the request

/** A fixed answer: XML, unless `headers` (names in lower case) say otherwise. */
export const answer =
  (status: number, body: string, headers: Record<string, string> = {}): Act =>
  exchange =>
    reply(exchange, status, { date: new Date().toUTCString(), ...headers }, body);

/** 503, and to be tried again in a second. */
export const slowDown: Act = answer(503, errorXml('SlowDown', 'Please reduce your request rate.'), { 'retry-after': '1' });

/** 403, as for a key without the right, or a locked object. */
export const accessDenied: Act = answer(403, errorXml('AccessDenied', 'Access Denied'));

/** As a proxy before a server words it: HTML, not XML. */
export const tooLargeHtml: Act = answer(413, '<html><head><title>413 Request Entity Too Large</title></head></html>', {
  'content-type': 'text/html',
});

/** 403 from a server whose clock is `ms` ahead, which its Date header shows. */
export const tooSkewed =
  (ms = 20 * 60_000): Act =>
  exchange =>
    reply(
      exchange,
      403,
      { date: new Date(Date.now() + ms).toUTCString() },
      errorXml('RequestTimeTooSkewed', 'The difference between the request time and the current time is too large.'),
    );

/** 200, and then an error in the body, as CompleteMultipartUpload may end. */
export const errorIn200 = (code = 'InternalError', message = 'We encountered an internal error. Please try again.'): Act =>
  answer(200, errorXml(code, message));

// ---- connections

/** Closes the connection at once. */
export const drop: Act = ({ request }) => void request.socket.destroy();

/** Never says a word. */
export const stall: Act = () => {};

/** The server behind does what was asked, its answer is thrown away, and then `act`: an answer lost on its way. */
export const afterwards =
  (act: Act): Act =>
  async exchange => {
    for await (const _ of await exchange.forward()) {
      // Its end is waited for: then it is done.
    }
    await act(exchange);
  };

/** Passes the head and `bytes` of the body on. @returns once they are with the system's socket */
async function passBytes({ response }: Exchange, from: IncomingMessage, bytes: number, without: readonly string[]): Promise<void> {
  head(response, from, without);
  response.flushHeaders();
  let left = bytes;
  for await (const chunk of from) {
    const part = chunk.subarray(0, left);
    await new Promise(resolve => response.write(part, resolve));
    left -= part.length;
    if (left <= 0) break;
  }
}

/** Closes the connection after `bytes` of the answer's body. Without a length, that looks like its end. */
export const cutAfter =
  (bytes: number, options: { length: boolean } = { length: true }): Act =>
  async exchange => {
    const { response } = exchange;
    if (!options.length) response.useChunkedEncodingByDefault = false;
    await passBytes(exchange, await exchange.forward(), bytes, options.length ? [] : ['content-length']);
    response.socket?.destroySoon();
  };

/** Falls silent after `bytes` of the answer's body, with the connection open. */
export const stallAfter =
  (bytes: number): Act =>
  async exchange =>
    passBytes(exchange, await exchange.forward(), bytes, []);

/** Waits before the request is passed on. */
export const delay =
  (ms: number): Act =>
  async exchange => {
    await pause(ms);
    relay(exchange, await exchange.forward());
  };

/** Ten portions a second. */
async function* slowly(from: Readable, bytesPerSecond: number): AsyncGenerator<Buffer> {
  const portion = Math.max(1, Math.floor(bytesPerSecond / 10));
  for await (const chunk of from) {
    for (let at = 0; at < chunk.length; at += portion) {
      yield chunk.subarray(at, at + portion);
      await pause(100);
    }
  }
}

/** Lets the bodies of request and answer through at `bytesPerSecond`. */
export const throttle =
  (bytesPerSecond: number): Act =>
  async ({ request, response, forward }) => {
    const from = await forward(Readable.from(slowly(request, bytesPerSecond)));
    head(response, from);
    pipeline(Readable.from(slowly(from, bytesPerSecond)), response, () => {});
  };

// ---- bodies

/** Changes the text of an answer's body. */
export const rewrite =
  (change: (body: string, seen: Seen) => string): Act =>
  async exchange => {
    const from = await exchange.forward();
    const body = Buffer.from(change(await text(from), exchange.seen));
    const headers = [...passed(from.rawHeaders, ['content-length']), 'content-length', String(body.length)];
    exchange.response.writeHead(from.statusCode ?? 502, headers).end(body);
  };

export interface ListingFault {
  /** Keys and common prefixes on a page at most. */
  page?: number;
  /** Not in the order of their names, within a page. */
  shuffled?: boolean;
  /** Says that there is more, and not how to go on. */
  tokenLost?: boolean;
}

interface Item {
  name: string;
  xml: string;
}

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

const unescaped = (xml: string): string =>
  xml.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (_, hex, decimal, name) =>
    name ? (NAMED[name] ?? '') : String.fromCodePoint(hex ? Number.parseInt(hex, 16) : Number(decimal)),
  );

const escaped = (name: string): string => name.replace(/[<>&"']/g, c => `&#${c.codePointAt(0)};`);

const ITEM = /<(Contents|CommonPrefixes)>.*?<\/\1>/gs;

function itemsOf(body: string): Item[] {
  const url = /<EncodingType>url</.test(body);
  const plain = (xml: string) => (url ? decodeURIComponent(unescaped(xml)) : unescaped(xml));
  const name = (xml: string) => plain(/<(?:Key|Prefix)>(.*?)</s.exec(xml)?.[1] ?? '');
  return [...body.matchAll(ITEM)]
    .map(([xml]) => ({ name: name(xml), xml }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}

/** A page of our own size: both RGW and versitygw go on after any name that they are given as a token. */
function cut(body: string, items: Item[]): string {
  const rest = body.replace(ITEM, '').replace(/<(NextContinuationToken|IsTruncated|KeyCount)>.*?<\/\1>/gs, '');
  const token = `<NextContinuationToken>${escaped(items.at(-1)!.name)}</NextContinuationToken>`;
  const more = `<KeyCount>${items.length}</KeyCount><IsTruncated>true</IsTruncated>${token}`;
  return rest.replace('</ListBucketResult>', () => `${more}${items.map(item => item.xml).join('')}</ListBucketResult>`);
}

/** The odd ones backwards, then the even ones: never in order, and always the same. */
const shuffle = (items: Item[]): Item[] => [...items.filter((_, at) => at % 2 === 1).reverse(), ...items.filter((_, at) => at % 2 === 0)];

/** Misbehaves in ListObjectsV2 only as told: pages, tokens and the set of names stay right otherwise. */
export const listing = ({ page = Number.POSITIVE_INFINITY, shuffled = false, tokenLost = false }: ListingFault): Act =>
  rewrite(body => {
    const items = itemsOf(body);
    let out = items.length > page ? cut(body, items.slice(0, page)) : body;
    if (shuffled) {
      const others = shuffle(itemsOf(out));
      out = out.replace(ITEM, '').replace('</ListBucketResult>', () => `${others.map(item => item.xml).join('')}</ListBucketResult>`);
    }
    return tokenLost ? out.replace(/<NextContinuationToken>.*?<\/NextContinuationToken>/s, '') : out;
  });

/** Whether a request is a ListObjectsV2. */
export const isListing = ({ method, query }: Seen): boolean => method === 'GET' && query.get('list-type') === '2';
