import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock } from '../../core/contracts.ts';
import { BkpError, type ExitName, sentence } from '../../core/errors.ts';
import { type Address, type Looked, ownFigures, staleness } from '../../core/status/listen.ts';
import type { StatusReport } from '../../core/status/types.ts';

export interface ServeOptions {
  env: string;
  /** Between two looks, from the end of one to the begin of the next: milliseconds. */
  everyMs: number;
  clock: Clock;
  /** Ends it. */
  signal: AbortSignal;
  /** Looks once at everything. */
  look(): Promise<{ report: StatusReport; exit: ExitName }>;
  /** The figures of a report, as Prometheus reads them. */
  metrics(report: StatusReport): Promise<string>;
  /** Takes secrets out of whatever is answered. */
  redact(text: string): string;
  /** It answers from now on. */
  listening(): void;
  failed(text: string): void;
}

/** What was found by the newest look. After one that failed there is nothing: what was true before is no state of now. */
interface Found {
  text: string;
  json: Record<string, unknown>;
}

const TEXT = 'text/plain; charset=utf-8';
const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';

/** A request that is not through by then is given up: milliseconds. */
const PATIENCE_MS = 10_000;

/** Looks again and again, and keeps the newest. */
class Watch {
  readonly #options: ServeOptions;
  looked: Looked = {};
  found: Found | undefined;

  constructor(options: ServeOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { signal, clock, everyMs } = this.#options;
    while (!signal.aborted) {
      await this.#once();
      await clock.sleep(everyMs, signal).catch(() => {});
    }
  }

  async #once(): Promise<void> {
    const { clock, look, metrics, failed, signal } = this.#options;
    const began = clock.now().getTime();
    const goodAt = this.looked.goodAt === undefined ? {} : { goodAt: this.looked.goodAt };
    try {
      const { report, exit } = await look();
      this.found = { text: await metrics(report), json: { exit, ...report } };
      const ended = clock.now().getTime();
      if (exit === 'storeUnreachable') this.looked = { ...goodAt, error: 'no store answers', tookMs: ended - began };
      else this.looked = { goodAt: ended, tookMs: ended - began };
    } catch (error) {
      if (signal.aborted) return;
      this.found = undefined;
      this.looked = { ...goodAt, error: sentence(error), tookMs: clock.now().getTime() - began };
    }
    if (this.looked.error !== undefined) failed(this.looked.error);
  }
}

type Answer = { status: number; type: string; body: string };

function answerTo(path: string, watch: Watch, { env, everyMs, clock }: ServeOptions): Answer {
  const now = clock.now().getTime();
  const stale = staleness(watch.looked, everyMs, now);
  const status = stale === undefined ? 200 : 503;
  const age = watch.looked.goodAt === undefined ? {} : { ageSeconds: (now - watch.looked.goodAt) / 1000 };
  if (path === '/healthz') return { status, type: TEXT, body: `${stale ?? 'ok'}\n` };
  if (path === '/metrics')
    return { status: 200, type: PROMETHEUS, body: `${ownFigures(env, watch.looked, everyMs, now)}${watch.found?.text ?? ''}` };
  if (path === '/status.json') {
    const body = { up: stale === undefined, ...age, ...(stale === undefined ? {} : { error: stale }), ...watch.found?.json };
    return { status, type: JSON_TYPE, body: `${JSON.stringify(body)}\n` };
  }
  return { status: 404, type: TEXT, body: 'there are /metrics, /healthz and /status.json\n' };
}

function respond(request: IncomingMessage, response: ServerResponse, watch: Watch, options: ServeOptions): void {
  const reads = request.method === 'GET' || request.method === 'HEAD';
  const answer: Answer = reads
    ? answerTo((request.url ?? '/').split('?')[0]!, watch, options)
    : { status: 405, type: TEXT, body: 'only GET\n' };
  const body = Buffer.from(options.redact(answer.body));
  response.writeHead(answer.status, {
    'content-type': answer.type,
    'content-length': body.length,
    'cache-control': 'no-store',
    ...(reads ? {} : { allow: 'GET, HEAD' }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function open(server: Server, { host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', error =>
      reject(new BkpError('failed', `nobody can listen at ${host}, port ${port}: ${error.message}`, { cause: error })),
    );
    server.listen(port, host, resolve);
  });
}

/**
 * Answers `/metrics`, `/healthz` and `/status.json` by what the newest look found, until the signal: what is asked often is not looked at
 * each time. After a look that failed, and when none has ended for long, nothing of it says that all is well.
 * @throws BkpError('failed') when the address cannot be taken
 */
export async function serveStatus(address: Address, options: ServeOptions): Promise<void> {
  const watch = new Watch(options);
  const server = createServer((request, response) => respond(request, response, watch, options));
  server.requestTimeout = PATIENCE_MS;
  server.headersTimeout = PATIENCE_MS;
  await open(server, address);
  options.listening();
  try {
    await watch.run();
  } finally {
    await new Promise<void>(resolve => {
      server.close(() => resolve());
      // Answers are short: whoever is in the middle of a question would only keep it from ending.
      server.closeAllConnections();
    });
  }
}
