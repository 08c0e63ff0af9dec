import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import type { Bytes, Command, Store } from '../../../../core/contracts.ts';
import { parseDuration } from '../../../../core/duration.ts';
import { BkpError } from '../../../../core/errors.ts';
import { makeBelow } from '../../../../flow/folders.ts';
import { accessOf, type Context, fileWith, passwordOf, prefixOf, who } from './context.ts';
import { type Reach, reachOf } from './reach.ts';

const KEPT = 400;
const KILL_AFTER_MS = 5000;

/** Absolute path of restic. Throws BkpError('failed') saying where it was looked for. */
export function program(ctx: Context): string {
  const { program: named = 'restic' } = ctx.config;
  const found = ctx.run.which(named);
  if (found) return found;
  throw new BkpError('failed', `${who(ctx)}: ${named} is not there${named.includes('/') ? '' : ', it was looked for on PATH'}`, {
    next: 'apt-get install restic, or `program:` in the entry names it',
  });
}

async function askVersion(ctx: Context): Promise<string> {
  const { stdout } = await ctx.run.text({ file: program(ctx), args: ['version'] }, { signal: ctx.signal });
  const version = /restic (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (version) return version;
  throw new BkpError('failed', `${program(ctx)} says "${stdout.trim()}", which is no version of restic`);
}

const versions = new WeakMap<Context['scratch'], Promise<string>>();

/** The version that `restic version` tells, as its numbers, asked once in an operation. Throws BkpError('failed') when it tells none. */
export function versionOf(ctx: Context): Promise<string> {
  const asked = versions.get(ctx.scratch) ?? askVersion(ctx);
  versions.set(ctx.scratch, asked);
  return asked;
}

/** `restic copy` between two repositories takes --from-repo since 0.14. */
export const LEAST = '0.14.0';

const numbers = (version: string): number[] => version.split('.').map(Number);

/** Whether a version is another one or newer. */
export function isSince(version: string, least: string): boolean {
  const [a, b] = [numbers(version), numbers(least)];
  const at = a.findIndex((number, n) => number !== b[n]);
  return at === -1 || a[at]! > b[at]!;
}

/** @throws BkpError('failed') for a restic that is too old */
export async function refuseOld(ctx: Context): Promise<string> {
  const version = await versionOf(ctx);
  if (isSince(version, LEAST)) return version;
  throw new BkpError('failed', `${who(ctx)}: ${program(ctx)} is restic ${version}, and ${LEAST} is needed at least`, {
    next: 'install a newer restic, or `program:` in the entry names it',
  });
}

/** restic's directory of a directory store is made; the root of the store is not, so that an unmounted disk is noticed. */
export async function makeRoom(ctx: Context, store: Store): Promise<void> {
  const access = accessOf(ctx, store);
  if (access.kind !== 'directory') return;
  await store.stat(`${prefixOf(ctx)}/config`);
  await makeBelow(access.path, join(access.path, prefixOf(ctx))).catch(error => {
    throw new BkpError('storeUnreachable', `store ${store.name}: ${join(access.path, prefixOf(ctx))} could not be made: ${error.message}`, {
      cause: error,
    });
  });
}

export async function reachFor(ctx: Context, store: Store): Promise<Reach> {
  const access = accessOf(ctx, store);
  const ca = access.kind === 's3' && access.ca !== undefined ? { ca: await fileWith(ctx, 'ca', access.ca) } : {};
  const { cache } = ctx.config;
  return { store: store.name, ...reachOf(access, prefixOf(ctx), { ...ca, ...(cache === undefined ? {} : { cache }) }) };
}

/** What every restic of ours is told: how often it says how far it is, and where and by what password it works. */
export const environmentOf = (ctx: Context, { repository, env }: Reach): Record<string, string> => ({
  ...env,
  RESTIC_REPOSITORY: repository,
  RESTIC_PASSWORD: passwordOf(ctx),
  // So often a line comes: one that finds its reader gone ends restic.
  RESTIC_PROGRESS_FPS: '4',
});

/** A repository that restic copies from. */
export const fromEnvironment = (ctx: Context, { repository, env }: Reach): Record<string, string> => ({
  ...env,
  RESTIC_FROM_REPOSITORY: repository,
  RESTIC_FROM_PASSWORD: passwordOf(ctx),
});

/** How restic ended, whatever the code; `lines` are the last ones that it said. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  lines: string[];
}

export interface RunOptions {
  env?: Record<string, string>;
  cwd?: string;
  onLine?(line: string): void;
}

/** Bytes that a process has read and written so far, where the kernel tells. */
async function ioOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => '');
  return [...text.matchAll(/^[rw]char: (\d+)$/gm)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

/** Less than this is restic saying that it waits and tries again. */
const WORDS = 16 * 1024;

/** Calls `stalled` once when a process has neither read nor written for `idleTimeout`. @returns what ends the watch */
function watch(ctx: Context, pid: number, stalled: () => void): () => void {
  const idleMs = parseDuration(ctx.config.idleTimeout);
  const now = (): number => ctx.clock.now().getTime();
  let [alive, before] = [now(), 0];
  const timer = setInterval(
    async () => {
      const io = await ioOf(pid);
      if (io - before > WORDS) [alive, before] = [now(), io];
      if (now() - alive < idleMs) return;
      clearInterval(timer);
      stalled();
    },
    Math.max(200, Math.min(5000, idleMs / 5)),
  );
  return () => clearInterval(timer);
}

function stillness(ctx: Context, { store }: Reach, command: string | undefined, said: string): BkpError {
  const what = `restic ${command}${store === undefined ? '' : ` in store ${store}`}`;
  return new BkpError('storeUnreachable', `${who(ctx)}: ${what} got no further for ${ctx.config.idleTimeout} and was ended${said}`, {
    next: 'bkp doctor shows how the stores answer; `idleTimeout:` in the entry gives it longer',
  });
}

/**
 * Runs restic to its end. Ended by us it gets SIGINT, at which it takes its lock away (0.14 does not at SIGTERM).
 * @returns how it ended
 * @throws BkpError('storeUnreachable') when it stood still for `idleTimeout`; the signal's reason
 */
export async function runRestic(ctx: Context, reach: Reach, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { onLine, env = {}, ...place } = options;
  ctx.signal.throwIfAborted();
  const command: Command = {
    file: program(ctx),
    args: [...args.slice(0, 1), ...reach.args, ...args.slice(1)],
    env: { ...environmentOf(ctx, reach), ...env },
    ...place,
  };
  const child = ctx.run.start(command);
  const lines: string[] = [];
  let stalled = false;
  let late: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGINT');
    late ??= setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  };
  const unwatch = watch(ctx, child.pid, () => {
    stalled = true;
    stop();
  });
  ctx.signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const line of child.lines()) {
      onLine?.(line);
      lines.push(line);
      if (lines.length > KEPT) lines.shift();
    }
    const { code, signal } = await child.ended;
    ctx.signal.throwIfAborted();
    if (!stalled) return { code, signal, lines };
    throw stillness(ctx, reach, args[0], `: ${words(lines)}`);
  } finally {
    clearTimeout(late);
    unwatch();
    ctx.signal.removeEventListener('abort', stop);
  }
}

/**
 * What restic writes to its stdout, as it comes. It locks nothing.
 * @throws BkpError('failed') at the end when it failed; 'storeUnreachable' when it stood still for `idleTimeout`: 0.14 waits for an answer for
 * ever where a connection stays open and nothing comes; the signal's reason
 */
export async function* readRestic(ctx: Context, reach: Reach, args: readonly string[]): Bytes {
  const command = {
    file: program(ctx),
    args: [...args.slice(0, 1), '--no-lock', ...reach.args, ...args.slice(1)],
    env: environmentOf(ctx, reach),
  };
  const { out, done, pids } = ctx.run.pipeline([command], { signal: ctx.signal });
  const unwatch = watch(ctx, pids[0]!, () => void out.destroy(stillness(ctx, reach, args[0], '')));
  try {
    yield* out;
    await done;
  } finally {
    unwatch();
  }
}

/** Lines of restic's stdout as they come. @throws as `readRestic` */
export async function* askRestic(ctx: Context, reach: Reach, args: readonly string[]): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of readRestic(ctx, reach, args)) {
    const lines = (rest + decoder.write(chunk as Buffer)).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== '') yield rest;
}

/** The first complaint about each path: what follows it (`UtimesNano: no such file`) comes of it. */
function causes(lines: readonly string[]): string[] {
  const seen = new Set<string>();
  return lines.filter(line => {
    const path = /^ignoring error for (.*?): /.exec(line)?.[1];
    if (path === undefined) return true;
    return !seen.has(path) && seen.add(path);
  });
}

/** What restic complained of last. */
export function words(lines: readonly string[]): string {
  const plain = causes(lines).filter(
    line => line.trim() !== '' && !line.startsWith('{"message_type":"status"') && !/signal interrupt received/.test(line),
  );
  const complaints = plain.filter(line => /Fatal|fatal|error|failed/.test(line));
  const final = complaints.filter(line => !/retrying after/.test(line));
  const fatal = (final.length > 1 ? final : complaints).slice(-2);
  return (fatal.length > 0 ? fatal : plain.slice(-2)).map(line => line.replace(/^Fatal: /, '').trim()).join(' | ') || 'it said nothing';
}
