import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Bytes, Event, Facts, Keys, Runner, Store, Target, TargetContext, Upload } from '../../src/core/contracts.ts';
import { BkpError } from '../../src/core/errors.ts';
import { makeKeys, publicText, signingKey, signingText } from '../../src/flow/keys.ts';
import { type BackupOptions, backupTarget } from '../../src/ops/backup/index.ts';
import { openDirectory } from '../../src/providers/stores/directory.ts';
import { systemClock } from '../../src/system/clock.ts';
import { systemRunner } from '../../src/system/runner.ts';

export const BASE = 'prod/fake/app';

/** An age pair made by age itself. */
export function agePair(): { identity: string; recipient: string } {
  const text = execFileSync('age-keygen', { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return { identity: /AGE-SECRET-KEY-\S+/.exec(text)![0], recipient: /age1\S+/.exec(text)![0] };
}

export interface KeySet {
  keys: Keys;
  identity: string;
}

/** Keys that seal, open, sign and trust themselves. */
export function keySet(pair = agePair(), seed: Uint8Array = randomBytes(32)): KeySet {
  const signing = signingText(seed);
  return {
    identity: pair.identity,
    keys: makeKeys({
      recipients: [pair.recipient],
      identity: () => pair.identity,
      signing: () => signing,
      trusted: [publicText(signingKey(signing))],
    }),
  };
}

/** A runner on a host without zstd and age. */
export const bareRunner: Runner = { ...systemRunner, which: () => undefined };

export async function* chunks(bytes: Buffer, size = 1 << 20): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export const facts = (change: Partial<Facts> = {}): Facts => ({
  identity: { id: 'one' },
  at: new Date('2026-01-15T02:00:00Z'),
  needs: [],
  baseline: {},
  versions: {},
  notCovered: [],
  warnings: [],
  ...change,
});

/** A target whose pieces are given as streams. */
export const fakeTarget = (pieces: () => Record<string, Bytes>, known: Partial<Facts> = {}): Target => ({
  kind: 'fake',
  config: z.any(),
  defaults: { schedule: '0 2 * * *', rpo: '1d', retention: {} },
  async *doctor() {},
  async *capture() {
    for (const [name, bytes] of Object.entries(pieces())) yield { name, bytes };
    return facts(known);
  },
  async restore() {
    return undefined;
  },
});

/** A store whose calls can be made to fail; `broken` names the calls that do. */
export function frail(store: Store): { store: Store; broken: Set<string> } {
  const broken = new Set<string>();
  const fail = (call: string) => {
    if (broken.has(call)) throw new BkpError('storeUnreachable', `store ${store.name} fell over at ${call}`);
  };
  const wrap = (upload: Upload): Upload => ({
    block: async (n, bytes, sha256) => {
      fail(`block ${n}`);
      await upload.block(n, bytes, sha256);
    },
    commit: async () => {
      fail('commit');
      return upload.commit();
    },
    abort: () => upload.abort(),
  });
  const made: Store = {
    name: store.name,
    blockBytes: store.blockBytes,
    powers: () => store.powers(),
    open: async (key, options) => {
      fail('open');
      if (key.endsWith('manifest.json')) fail('manifest');
      return wrap(await store.open(key, options));
    },
    get: (key, range) => {
      fail('get');
      return store.get(key, range);
    },
    stat: async key => {
      fail('stat');
      return store.stat(key);
    },
    async *list(prefix) {
      fail('list');
      yield* store.list(prefix);
    },
    remove: keys => store.remove(keys),
  };
  return { store: made, broken };
}

export interface Rig {
  dir: string;
  stores: Store[];
  events: Event[];
  ctx: TargetContext;
  context(change?: Partial<TargetContext>): TargetContext;
  backup(target: Target, change?: Partial<TargetContext>, options?: Partial<BackupOptions>): ReturnType<typeof backupTarget>;
  /** Relative paths of every file of a store, temporary ones too, without the records of runs. */
  files(store: string): string[];
  [Symbol.dispose](): void;
}

/** Two directory stores, `one` and `two`, and what an operation needs around them. */
export function rig(keys: Keys = keySet().keys): Rig {
  const dir = mkdtempSync(join(tmpdir(), 'bkp-ops-'));
  const stores = ['one', 'two'].map(name => {
    mkdirSync(join(dir, name));
    return openDirectory(name, { type: 'directory', path: join(dir, name) });
  });
  const events: Event[] = [];
  const ctx: TargetContext = {
    env: 'prod',
    kind: 'fake',
    name: 'app',
    config: {},
    base: BASE,
    stores,
    need: 1,
    keys,
    timezone: 'UTC',
    weekStart: 'sunday',
    run: systemRunner,
    clock: systemClock,
    report: { emit: event => void events.push(event) },
    signal: new AbortController().signal,
    scratch: async () => mkdtempSync(join(dir, 'scratch-')),
  };
  const context = (change: Partial<TargetContext> = {}) => ({ ...ctx, ...change });
  return {
    dir,
    stores,
    events,
    ctx,
    context,
    backup: (target, change, options = {}) =>
      backupTarget(target, context(change), {
        newLineage: false,
        alarmBelow: 50,
        acceptSize: false,
        random: randomBytes(3),
        tool: 'bkp 0',
        ...options,
      }),
    files: store =>
      readdirSync(join(dir, store), { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile())
        .map(entry => join(entry.parentPath, entry.name).slice(join(dir, store).length + 1))
        .filter(path => !path.includes('/runs/'))
        .sort(),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}
