import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Act,
  accessDenied,
  afterwards,
  answer,
  cutAfter,
  delay,
  drop,
  errorIn200,
  type Running,
  rewrite,
  slowDown,
  stall,
  stallAfter,
  type Toxic,
  throttle,
  tooLargeHtml,
  tooSkewed,
} from '../../test/real/rig/index.ts';
import { type Random, randomOf } from './random.ts';
import type { World } from './world.ts';

/** Something that goes wrong for the time of some runs of bkp. */
export interface Fault {
  name: string;
  /** Begins; what it returns ends it. */
  begin(world: World, random: Random): (() => Promise<void> | void) | Promise<() => Promise<void> | void>;
  /** Nothing hinders a run: whatever came before is over. */
  calm?: boolean;
  /** Keys of the near store that it harmed for good: what needs them may not come back, and has to be told. */
  harms?: boolean;
  /** What is done to a bkp that runs. */
  strike?(child: Running, random: Random): void;
  /** For the environment of bkp. */
  env?(random: Random): Record<string, string>;
}

/** The far store answers a share of the requests otherwise. */
const far = (name: string, act: Act, share = 0.3, when: (method: string) => boolean = () => true): Fault => ({
  name,
  begin({ far: proxy }, random) {
    // Numbers of its own: how many requests come is a matter of moments, and what the seed says next is not.
    const own = randomOf(random.int(0, 2 ** 31));
    proxy.faults = [{ when: ({ method }) => when(method) && own.chance(share), act }];
    return () => {
      proxy.faults = [];
    };
  },
});

const wrongEtag: Act = async exchange => {
  const from = await exchange.forward();
  exchange.response.writeHead(from.statusCode ?? 502, { ...from.headers, etag: '"00000000000000000000000000000000"' });
  from.pipe(exchange.response);
};

/** The line to the far store is bad for all that goes through it, whatever it is. */
const line = (name: string, ...toxics: Toxic[]): Fault => ({
  name,
  begin: async ({ line }) => {
    for (const toxic of toxics) await line.add(toxic);
    return () => line.clear();
  },
});

/** Kills bkp within so many ms of its start. */
const struck = (signal: NodeJS.Signals, withinMs: number): Fault => ({
  name: `${signal} to bkp`,
  begin: () => () => {},
  strike: (child, random) => void setTimeout(() => child.kill(signal), random.int(50, withinMs)),
});

const objectsOf = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter(
    path => /\/(backups|wal|restic)\//.test(path) && !/\.tmp-|locks\//.test(path) && statSync(join(dir, path)).isFile(),
  );

/** An object of the near store is harmed for good. */
const harm = (name: string, work: (path: string) => void): Fault => ({
  name,
  harms: true,
  begin({ near }, random) {
    const objects = objectsOf(near);
    if (objects.length > 0) work(join(near, random.pick(objects)));
    return () => {};
  },
});

const later = (ms: number, work: () => void): NodeJS.Timeout => setTimeout(work, ms);

/** Everything that is thrown at it. */
export const FAULTS: readonly Fault[] = [
  { name: 'nothing', calm: true, begin: () => () => {} },
  struck('SIGKILL', 4000),
  struck('SIGTERM', 4000),
  far('503 of the far store', slowDown),
  far('413 of the far store', tooLargeHtml, 0.5, method => method === 'PUT'),
  far('403 of the far store', accessDenied),
  far('403 to deletions', accessDenied, 1, method => method === 'DELETE'),
  far('200 with an error in it', errorIn200(), 0.5, method => method === 'POST' || method === 'PUT'),
  far('bodies that are cut', cutAfter(300), 0.4, method => method === 'GET'),
  far('bodies that stall', stallAfter(200), 0.2, method => method === 'GET'),
  far('requests that nobody answers', stall, 0.1),
  far('connections that are reset', drop),
  far('answers that are lost', afterwards(drop), 0.3, method => method !== 'GET'),
  far('latency', delay(300), 1),
  far('a thin line', throttle(200_000), 0.5),
  far('a skewed clock of the far store', tooSkewed()),
  far('wrong ETags', wrongEtag, 1),
  far(
    'listings that end early',
    rewrite(body => body.slice(0, Math.floor(body.length / 2))),
    0.5,
    method => method === 'GET',
  ),
  far(
    '404 for what is there',
    answer(404, '<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>'),
    0.3,
    method => method !== 'PUT',
  ),
  far('the far store is gone', drop, 1),
  line('a line that is reset after a while', { type: 'reset_peer', attributes: { timeout: 700 } }),
  line('a line that is cut within answers', { type: 'limit_data', attributes: { bytes: 3000 }, toxicity: 0.5 }),
  line('a line that is cut within requests', { type: 'limit_data', stream: 'upstream', attributes: { bytes: 20_000 }, toxicity: 0.5 }),
  line('a line with latency and jitter', { type: 'latency', attributes: { latency: 250, jitter: 200 } }),
  line(
    'a line that is thin and gives crumbs',
    { type: 'bandwidth', attributes: { rate: 300 } },
    { type: 'slicer', attributes: { average_size: 500, size_variation: 300, delay: 500 } },
  ),
  line('a line that falls silent', { type: 'timeout', attributes: { timeout: 0 }, toxicity: 0.2 }),
  {
    name: 'nobody answers at the address of the far store',
    begin: async ({ line }) => {
      await line.up(false);
      return () => line.up(true);
    },
  },
  {
    name: 'PostgreSQL is killed',
    begin: async ({ db }) => {
      await db.kill9();
      return () => db.start();
    },
  },
  {
    name: 'PostgreSQL restarts',
    begin: ({ db }, random) => {
      let again: Promise<void> = Promise.resolve();
      const timer = later(random.int(100, 1500), () => {
        again = db.restart();
      });
      return async () => {
        clearTimeout(timer);
        await again;
      };
    },
  },
  {
    name: 'Redis is killed',
    begin: ({ redis }, random) => {
      let dead = false;
      const timer = later(random.int(0, 800), () => {
        dead = true;
        if (redis.pid) process.kill(redis.pid, 'SIGKILL');
      });
      return async () => {
        clearTimeout(timer);
        if (!dead) return;
        await redis.stop();
        await redis.start();
      };
    },
  },
  {
    name: 'etcd is gone',
    begin: async ({ etcd }) => {
      await etcd.stop();
      return async () => void (await etcd.start());
    },
  },
  {
    name: 'the near disk is full',
    begin: ({ near }) => {
      const file = join(near, 'filler');
      try {
        writeFileSync(file, Buffer.alloc(1024));
        execFileSync('sh', ['-c', 'cat /dev/zero > "$1"', 'sh', file], { stdio: 'ignore' });
      } catch {
        // It is full, which was the aim.
      }
      return () => rmSync(file, { force: true });
    },
  },
  {
    name: 'the near disk is read-only',
    begin: ({ near }) => {
      execFileSync('mount', ['-o', 'remount,ro', near]);
      return () => void execFileSync('mount', ['-o', 'remount,rw', near]);
    },
  },
  {
    name: 'the clock of bkp jumps',
    begin: () => () => {},
    env: random => ({
      LD_PRELOAD: '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1',
      FAKETIME: `${random.pick(['+', '-'])}${random.int(1, 600)}m`,
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }),
  },
  harm('an object of the near store flips', path => {
    const bytes = readFileSync(path);
    if (bytes.length > 0) bytes[Math.floor(bytes.length / 2)]! ^= 1;
    writeFileSync(path, bytes);
  }),
  harm('an object of the near store vanishes', path => rmSync(path)),
];
