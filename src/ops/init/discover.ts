import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Runner } from '../../core/contracts.ts';
import type { Found } from '../../core/init/text.ts';
import { exists } from '../../flow/place.ts';

/** Where to look; all of it can be elsewhere in a test. */
export interface Surroundings {
  run: Runner;
  /** Directories of PostgreSQL's sockets. */
  sockets: readonly string[];
  redisPorts: readonly number[];
  etcdPort: number;
  /** K3s's own data directory. */
  k3s: string;
  /** Samba's private directory, in which a DC has its database. */
  samba: string;
}

/** What is where it is by default. Sources: PostgreSQL's and Debian's socket directories, the IANA ports of Redis and etcd, K3s's and Debian's paths. */
export const usual = (run: Runner): Surroundings => ({
  run,
  sockets: ['/var/run/postgresql', '/tmp'],
  redisPorts: [6379],
  etcdPort: 2379,
  k3s: '/var/lib/rancher/k3s',
  samba: '/var/lib/samba/private',
});

const WAIT_MS = 500;

/** Says something to a port of this host and takes the first answer; undefined where nobody listens or speaks. */
function spoken(port: number, words: string): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (answer: string | undefined) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(WAIT_MS, () => end(undefined));
    socket.once('error', () => end(undefined));
    socket.once('connect', () => socket.write(words));
    socket.once('data', data => end(data.toString('latin1')));
  });
}

async function postgres({ run, sockets }: Surroundings): Promise<Found['postgres']> {
  const walg = run.which('wal-g') !== undefined;
  const found: { host: string; port: number }[] = [];
  for (const host of sockets) {
    const names = await readdir(host).catch(() => []);
    for (const name of names) {
      const [, port] = /^\.s\.PGSQL\.(\d+)$/.exec(name) ?? [];
      if (port && !found.some(each => each.port === Number(port))) found.push({ host, port: Number(port) });
    }
  }
  return found.map(({ host, port }, n) => ({ name: n === 0 ? 'app' : `app-${port}`, host, port, walg }));
}

async function redis({ redisPorts }: Surroundings): Promise<Found['redis']> {
  const found: Found['redis'][number][] = [];
  for (const port of redisPorts) {
    const answer = await spoken(port, 'PING\r\n');
    if (answer && /^(\+PONG|-NOAUTH)/.test(answer))
      found.push({ name: found.length === 0 ? 'cache' : `cache-${port}`, port, password: answer.startsWith('-NOAUTH') });
  }
  return found;
}

async function etcd({ run, k3s, etcdPort }: Surroundings): Promise<Found['etcd']> {
  if ((await exists(join(k3s, 'server'))) || run.which('k3s')) return { flavor: 'k3s' };
  const answer = await spoken(etcdPort, 'GET /version HTTP/1.0\r\n\r\n');
  if (answer === undefined) return undefined;
  return {
    flavor: 'etcd',
    endpoint: `${answer.startsWith('HTTP/') && !/HTTPS server/.test(answer) ? 'http' : 'https'}://127.0.0.1:${etcdPort}`,
  };
}

/** Looks at what of a platform is on this host, changing nothing. What does not answer is not there. */
export async function discover(at: Surroundings): Promise<Found> {
  const k = await etcd(at);
  return {
    postgres: await postgres(at),
    redis: await redis(at),
    ...(k ? { etcd: k } : {}),
    samba: await exists(join(at.samba, 'sam.ldb')),
    kubectl: at.run.which('kubectl') !== undefined,
  };
}
