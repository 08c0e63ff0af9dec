import { join } from 'node:path';
import type { Child } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { Context } from './config.ts';
import type { Program } from './tools.ts';

/** A server on a copy, on loopback, that nobody else knows of. */
export interface PrivateServer {
  endpoint: string;
  /** Ends it and waits until it is gone. */
  stop(): Promise<void>;
}

/** Two ports of loopback that nobody listened on a moment ago. */
export async function freePorts(): Promise<[number, number]> {
  const { createServer } = await import('node:net');
  const open = () =>
    new Promise<[number, () => Promise<void>]>((resolve, reject) => {
      const probe = createServer();
      probe.once('error', reject);
      probe.listen(0, '127.0.0.1', () =>
        resolve([(probe.address() as { port: number }).port, () => new Promise(done => probe.close(() => done()))]),
      );
    });
  const [[client, closeClient], [peer, closePeer]] = [await open(), await open()];
  await Promise.all([closeClient(), closePeer()]);
  return [client, peer];
}

/** PEM files of a client certificate. */
export interface ClientCertificate {
  cert: string;
  key: string;
}

/**
 * What makes a private server let in one client certificate, as the user that it is made out to: the certificate itself is the only authority
 * (tried on etcd 3.6), and the server's own, which nobody has to trust on loopback. Its health is asked beside.
 */
const onlyFor = ({ cert, key }: ClientCertificate, health: string): string[] => [
  ...['--cert-file', cert, '--key-file', key, '--trusted-ca-file', cert, '--client-cert-auth'],
  ...['--listen-metrics-urls', health],
];

const WAIT_MS = 60_000;
/** A database above etcd's own 2 GiB would take no writes. */
const NO_QUOTA = ['--quota-backend-bytes', '-1'];

async function untilUp(ctx: Context, child: Child, health: string, heard: readonly string[]): Promise<void> {
  let over = false;
  child.ended.then(
    () => {
      over = true;
    },
    () => {
      over = true;
    },
  );
  for (const until = ctx.clock.now().getTime() + WAIT_MS; ctx.clock.now().getTime() < until; ) {
    ctx.signal.throwIfAborted();
    // A cluster that was over its quota brings its alarm along, and serves all the same (etcd 3.4.23).
    const up = await fetch(`${health}/health?exclude=NOSPACE`, { signal: AbortSignal.timeout(2000) }).then(
      async answer => /"true"/.test(await answer.text()),
      () => false,
    );
    // Whoever else took the port meanwhile is well too: only ours says that it serves there (etcd 3.4 and 3.6).
    if (up && heard.some(line => /serving (?:insecure )?client (?:traffic|requests)/.test(line))) return;
    if (over) break;
    await ctx.clock.sleep(50, ctx.signal);
  }
  const said = heard.filter(line => /"(?:error|fatal|panic)"|panic|Error/.test(line)).at(-1) ?? heard.at(-1) ?? '';
  throw new BkpError('failed', `a private etcd on the copy ${over ? 'ended' : 'did not answer'}: ${said.slice(0, 400)}`);
}

/**
 * Starts etcd on a restored directory. The member's peer URL has to be the one that it was restored with.
 * @param only whom it lets in; plain HTTP for everybody on this host unless said
 * @throws BkpError('failed') with its last words
 */
export async function startPrivate(
  ctx: Context,
  program: Program,
  dataDir: string,
  ports: readonly [number, number],
  only?: ClientCertificate,
): Promise<PrivateServer> {
  const [open, peer] = ports.map(port => `http://127.0.0.1:${port}`) as [string, string];
  const client = only ? open.replace('http:', 'https:') : open;
  const health = only ? `http://127.0.0.1:${(await freePorts())[0]}` : client;
  const secure = only ? onlyFor(only, health) : [];
  const urls = ['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer];
  const child = ctx.run.start(
    { file: program.file, args: ['--name', 'default', '--data-dir', dataDir, ...urls, ...secure, ...NO_QUOTA], cwd: join(dataDir, '..') },
    { signal: ctx.signal, tied: 'SIGKILL' },
  );
  const heard: string[] = [];
  const listening = (async () => {
    for await (const line of child.lines()) heard.splice(0, Math.max(0, heard.push(line) - 200));
  })();
  const stop = async (): Promise<void> => {
    const late = setTimeout(() => child.kill('SIGKILL'), 5000);
    child.kill('SIGTERM');
    await child.ended.catch(() => {});
    await listening;
    clearTimeout(late);
  };
  try {
    await untilUp(ctx, child, health, heard);
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint: client, stop };
}
