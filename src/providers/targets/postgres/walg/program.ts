import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Access, Command, Store, TargetContext } from '../../../../core/contracts.ts';
import { parseDuration } from '../../../../core/duration.ts';
import { BkpError } from '../../../../core/errors.ts';
import { makeBelow } from '../../../../flow/folders.ts';
import type { PostgresConfig } from '../config.ts';
import type { WalgSettings } from './config.ts';
import { walgEnvironment } from './environment.ts';

export type Context = TargetContext<PostgresConfig>;

const KEPT = 400;
const KILL_AFTER_MS = 5000;

/** The entry's settings of WAL-G. Throws BkpError('refused') where its engine is another one. */
export function walgOf(ctx: Context): WalgSettings {
  const { walg } = ctx.config;
  if (walg) return walg;
  throw new BkpError('refused', `${who(ctx)} has engine ${ctx.config.engine}, and this was stored by WAL-G`, {
    next: 'set `engine: wal-g` in the entry, with the keys that it had',
  });
}

export const who = (ctx: Context): string => `postgres/${ctx.name}`;

/** Absolute path of wal-g. Throws BkpError('failed') saying where it was looked for. */
export function program(ctx: Context): string {
  const { program: named = 'wal-g' } = walgOf(ctx);
  const found = ctx.run.which(named, ctx.config.bin);
  if (found) return found;
  throw new BkpError('failed', `${who(ctx)}: ${named} is not there${named.includes('/') ? '' : ', neither in `bin:` nor on PATH'}`, {
    next: 'install WAL-G, or name it: `walg: { program: /usr/local/bin/wal-g }`',
  });
}

/** Whether WAL-G talks to the server, what it has to know of its segments, and whether another store is tried after this one. */
export interface Towards {
  server?: boolean;
  segmentBytes?: number;
  elsewhere?: boolean;
}

export function accessOf(store: Store): Access {
  const access = store.access?.();
  if (access) return access;
  throw new BkpError('usage', `store ${store.name} cannot be reached by another program, and engine wal-g needs that`);
}

/** What is told of the entry itself. Throws BkpError('usage') when a secret that is needed cannot be read. */
export const told = (ctx: Context, { server = false, segmentBytes, elsewhere }: Towards) => ({
  who: who(ctx),
  walg: walgOf(ctx),
  unencrypted: ctx.keys.recipients.length === 0,
  ...(server ? { server: ctx.config } : {}),
  ...(segmentBytes === undefined ? {} : { segmentBytes }),
  ...(elsewhere === undefined ? {} : { elsewhere }),
});

/** What WAL-G is told for one place in one store, secrets and all: for a child's environment. The directory of a directory store is made. */
export async function environmentFor(ctx: Context, store: Store, prefix: string, towards: Towards = {}): Promise<Record<string, string>> {
  const access = accessOf(store);
  if (access.kind === 'directory') await inDirectory(store, access.path, prefix);
  const file = access.kind === 's3' && access.ca !== undefined ? { caFile: await caFile(ctx, access.ca) } : {};
  const { plain, secret } = walgEnvironment({ ...told(ctx, towards), access, prefix, ...file });
  // The person's own ~/.walg.json and ~/.aws would go beside what is set here.
  return { ...plain, ...secret, HOME: '/nonexistent' };
}

/** WAL-G wants its directory to be there; the root of the store is not made, so that an unmounted disk is noticed. */
async function inDirectory(store: Store, root: string, prefix: string): Promise<void> {
  try {
    await readable(store, prefix);
    await makeBelow(root, join(root, prefix));
  } catch (error) {
    if (error instanceof BkpError) throw error;
    throw new BkpError('storeUnreachable', `store ${store.name}: ${join(root, prefix)} could not be made: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

const readable = (store: Store, prefix: string): Promise<unknown> => store.stat(`${prefix}/none`);

const dirs = new WeakMap<Context['scratch'], Promise<string>>();

/** One scratch directory for all runs of an operation. */
export function scratchOf({ scratch }: Context): Promise<string> {
  const dir = dirs.get(scratch) ?? scratch();
  dirs.set(scratch, dir);
  return dir;
}

async function caFile(ctx: Context, pem: string): Promise<string> {
  const path = join(await scratchOf(ctx), `ca-${createHash('sha256').update(pem).digest('hex').slice(0, 12)}.pem`);
  await writeFile(path, pem, { mode: 0o600 });
  return path;
}

/** How WAL-G ended: its output, whatever the code. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  lines: string[];
}

export interface RunOptions {
  cwd?: string;
  uid?: number;
  gid?: number;
  onLine?(line: string): void;
}

/** Bytes that a process has read and written so far, where the kernel tells. */
const ioOf = (pid: number): Promise<string> => readFile(`/proc/${pid}/io`, 'utf8').catch(() => '');

/**
 * Runs WAL-G to its end. Its exit code is an answer, and proves nothing by itself.
 * @throws BkpError('failed') when it stood still for `walg.idleTimeout`, or could not be started; the signal's reason
 */
export async function runWalg(
  ctx: Context,
  args: readonly string[],
  env: Record<string, string>,
  options: RunOptions = {},
): Promise<Ended> {
  const { onLine, ...place } = options;
  const command: Command = { file: program(ctx), args, env, ...place };
  const child = ctx.run.start(command, { signal: ctx.signal });
  const lines: string[] = [];
  const idleMs = parseDuration(walgOf(ctx).idleTimeout);
  const now = (): number => ctx.clock.now().getTime();
  let alive = now();
  let before = '';
  let stalled = false;
  const kill = (): void => {
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref();
  };
  const look = async (): Promise<void> => {
    const done = await ioOf(child.pid);
    if (done !== before) alive = now();
    before = done;
    if (now() - alive < idleMs || stalled) return;
    stalled = true;
    kill();
  };
  const timer = setInterval(() => void look(), Math.max(200, Math.min(5000, idleMs / 5)));
  ctx.signal.addEventListener('abort', kill, { once: true });
  try {
    for await (const line of child.lines()) {
      alive = now();
      lines.push(line);
      if (lines.length > KEPT) lines.shift();
      onLine?.(line);
    }
    const { code, signal } = await child.ended;
    ctx.signal.throwIfAborted();
    if (stalled)
      throw new BkpError(
        'failed',
        `${who(ctx)}: wal-g ${args[0]} stood still for ${walgOf(ctx).idleTimeout} and was ended; its last words: ${words(lines)}`,
        {
          next: 'bkp doctor shows how the stores answer; `walg: { idleTimeout: … }` gives it longer',
        },
      );
    return { code, signal, lines };
  } finally {
    clearInterval(timer);
    ctx.signal.removeEventListener('abort', kill);
  }
}

/** What WAL-G complained of last, without its level and time. */
export function words(lines: readonly string[]): string {
  const complaint = lines.filter(line => /^(ERROR|FATAL|panic)/.test(line)).slice(-2);
  const said = complaint.length > 0 ? complaint : lines.slice(-2);
  return said.map(line => line.replace(/^[A-Z]+: \d{4}\/\d\d\/\d\d [\d:.]+ /, '').trim()).join(' | ') || 'none';
}

/** How it ended, for a sentence. */
export const howEnded = ({ code, signal, lines }: Ended): string =>
  `${signal ? `was ended by signal ${signal}` : `ended with exit code ${code}`}: ${words(lines)}`;

/** The version that `wal-g --version` tells, or `unknown`. */
export async function versionOf(ctx: Context): Promise<string> {
  const { stdout } = await ctx.run.text({ file: program(ctx), args: ['--version'], env: { HOME: '/nonexistent' } }, { signal: ctx.signal });
  return /v?(\d+\.\d+[\w.-]*)/.exec(stdout)?.[1] ?? 'unknown';
}
