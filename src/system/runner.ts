import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, closeSync, constants, openSync, realpathSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { isSea } from 'node:sea';
import { PassThrough, Readable, type Writable } from 'node:stream';
import { ExecaError, execa } from 'execa';
import type { Bytes, Child, Command, Pipeline, Runner } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';
import { owned, spent } from '../core/spent.ts';

const KILL_AFTER_MS = 5000;
const KEPT_STDERR = 64 * 1024;

/** A child sees PATH, HOME, a fixed locale and what its command names: no PG*, AWS_*, KUBECONFIG or secret of ours leaks in. */
const environment = (command: Command): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  HOME: process.env['HOME'] ?? '/',
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
  ...(process.env['TMPDIR'] ? { TMPDIR: process.env['TMPDIR'] } : {}),
  ...command.env,
});

const place = (command: Command) => ({
  ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
  ...(command.uid === undefined ? {} : { uid: command.uid }),
  ...(command.gid === undefined ? {} : { gid: command.gid }),
});

const tail = (text: string): string => text.trim().split('\n').slice(-8).join('\n');

const failure = (command: Command, how: string, stderr: string, cause?: unknown): BkpError =>
  new BkpError('failed', `${command.file} ${how}${stderr.trim() ? `: ${tail(stderr)}` : ''}`, cause === undefined ? {} : { cause });

const howItEnded = (code: number | null, signal: NodeJS.Signals | null): string =>
  signal ? `was ended by signal ${signal}` : `ended with exit code ${code}`;

const spawnFailure = (command: Command, error: NodeJS.ErrnoException): BkpError =>
  error.code === 'ENOENT'
    ? new BkpError('failed', `${command.file} could not be started: there is no such program`, {
        next: `install it, or name its directory in the config`,
        cause: error,
      })
    : failure(command, `could not be started: ${error.message}`, '', error);

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** What writing into a child that ended looks like: the child's own end is the reason, not this. */
const CONSEQUENCES = ['EPIPE', 'ECANCELED', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED'];

/** A child that was ended for another one's failure, or could not write to one that had gone. */
const isConsequence = (error: Error): boolean => /signal SIG(TERM|PIPE)|Broken pipe|Connection reset by peer/.test(error.message);

/** Runs `use` with a descriptor of a file that holds the secret and has no name any more: Node's own pipes are sockets, which /dev/fd does not open. */
function whispering<T>(secret: string, use: (fd: number) => T): T {
  const path = join(tmpdir(), `bkp-${randomBytes(12).toString('hex')}`);
  const fd = openSync(path, 'wx+', 0o600);
  try {
    unlinkSync(path);
    writeSync(fd, secret);
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** One chunk at a time, each gone into the pipe before the next is asked for, and spent then. Rejects with the error of either side. */
async function feed(input: Bytes, into: Writable): Promise<void> {
  // Every write and the end are told by themselves.
  into.on('error', () => {});
  for await (const chunk of input) {
    await new Promise<void>((resolve, reject) => into.write(chunk, error => (error ? reject(error) : resolve())));
    spent(chunk);
  }
  await new Promise<void>(resolve => into.end(resolve));
}

/** The stdout of a child, chunk by chunk as the pipe gave them, without its end: that is for who knows how the child ended. */
function reading(from: Readable | null): Readable {
  const out = new Readable({ highWaterMark: 0, read: () => void from?.resume() });
  from?.pause().on('data', chunk => {
    if (!out.destroyed && !out.push(owned(chunk))) from.pause();
  });
  return out;
}

/** Joins children by file descriptor: the bytes between two of them never pass through this process. */
function joined(commands: readonly Command[], options: Parameters<Runner['pipeline']>[1] = {}): Pipeline {
  const children: ChildProcess[] = [];
  let out!: Readable;
  const ends = commands.map((command, index) => {
    const last = index === commands.length - 1;
    const upstream = index > 0 ? children[index - 1]?.stdout : undefined;
    const begin = (...more: number[]): ChildProcess =>
      spawn(command.file, [...command.args], {
        ...place(command),
        env: environment(command),
        stdio: [upstream ?? (options.input ? 'pipe' : 'ignore'), 'pipe', 'pipe', ...more],
      });
    const child = command.secret === undefined ? begin() : whispering(command.secret, begin);
    upstream?.destroy();
    children.push(child);
    let stderr = '';
    const lines = child.stderr ? createInterface({ input: child.stderr }) : undefined;
    lines?.on('line', line => {
      stderr = `${stderr}${line}\n`.slice(-KEPT_STDERR);
      options.onStderr?.(index, line);
    });
    if (index === 0 && options.input && child.stdin) {
      feed(options.input, child.stdin).catch(error => {
        if (!CONSEQUENCES.includes(error.code)) inputError ??= error;
        child.kill('SIGTERM');
      });
    }
    if (last) out = reading(child.stdout);
    return new Promise<string>((resolve, reject) => {
      child.once('error', error => reject(spawnFailure(command, error)));
      child.once('close', (code, signal) => {
        if (code === 0) resolve(stderr);
        else reject(failure(command, howItEnded(code, signal), stderr));
      });
    });
  });
  let inputError: Error | undefined;
  const killAll = () => {
    for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    setTimeout(() => {
      for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    }, KILL_AFTER_MS).unref();
  };
  const done = (async () => {
    const results = await Promise.all(
      ends.map(end =>
        end.catch(error => {
          killAll();
          return error as Error;
        }),
      ),
    );
    options.signal?.removeEventListener('abort', killAll);
    if (options.signal?.aborted) throw options.signal.reason;
    if (inputError) throw inputError;
    const failed = results.filter(result => result instanceof Error) as Error[];
    const first = failed.find(error => !isConsequence(error)) ?? failed[0];
    if (first) throw first;
    return results as string[];
  })();
  options.signal?.addEventListener('abort', killAll, { once: true });
  if (options.signal?.aborted) killAll();
  // `done` carries the error; a caller that only drains must not be ended by the event.
  out.on('error', () => {});
  out.once('close', () => {
    if (!out.readableEnded) killAll();
  });
  // The reader sees the end only once every child ended well: a truncated dump throws at its end.
  done.then(
    () => out.push(null),
    error => out.destroy(error),
  );
  done.catch(() => {});
  return { out, done, pids: children.map(({ pid = -1 }) => pid) };
}

const stdinOf = ({ input, hold: held }: { input?: string; hold?: boolean }) => {
  if (held) return { stdin: 'pipe' as const };
  return input === undefined ? { stdin: 'ignore' as const } : { input };
};

/** Writes and leaves open: the child's end closes it. What it does not read any more is told by its exit code. */
function hold(stdin: Writable | null, text: string): void {
  stdin?.on('error', () => {});
  stdin?.write(text);
}

const found = (file: string, dirs: readonly string[] = []): string | undefined => {
  if (file.includes('/')) return isExecutable(file) ? file : undefined;
  return [...dirs, ...(process.env['PATH'] ?? '').split(delimiter)]
    .filter(dir => dir !== '')
    .map(dir => join(dir, file))
    .find(isExecutable);
};

/** A command that the kernel sends a signal when its parent is gone: prctl(2), PR_SET_PDEATHSIG. It stays the same process. The setpriv of busybox cannot do it. */
function tied(command: Command, signal: NodeJS.Signals): Command {
  const setpriv = found('setpriv');
  const file = found(command.file);
  if (!setpriv || !file || basename(realpathSync(setpriv)) === 'busybox') return command;
  return { ...command, file: setpriv, args: ['--pdeathsig', signal, '--', file, ...command.args] };
}

/** The runner over real processes. */
export const systemRunner: Runner = {
  async text(command, options = {}) {
    try {
      const child = execa(command.file, command.args, {
        ...place(command),
        env: environment(command),
        extendEnv: false,
        stripFinalNewline: false,
        forceKillAfterDelay: KILL_AFTER_MS,
        ...stdinOf(options),
        ...(options.signal ? { cancelSignal: options.signal } : {}),
        ...(options.timeoutMs ? { timeout: options.timeoutMs } : {}),
      });
      if (options.hold) hold(child.stdin, options.input ?? '');
      const { stdout, stderr } = await child;
      return { stdout: stdout ?? '', stderr: stderr ?? '' };
    } catch (error) {
      if (options.signal?.aborted) throw options.signal.reason;
      if (!(error instanceof ExecaError)) throw error;
      const cause = error.cause as NodeJS.ErrnoException | undefined;
      if (cause?.code === 'ENOENT') throw spawnFailure(command, cause);
      const how = error.timedOut
        ? `gave no answer in ${options.timeoutMs} ms`
        : howItEnded(error.exitCode ?? null, error.signal ? (error.signal as NodeJS.Signals) : null);
      throw failure(command, how, String(error.stderr ?? ''), error);
    }
  },

  pipeline: joined,

  start(wanted, options = {}) {
    const command = options.tied ? tied(wanted, options.tied) : wanted;
    const child = spawn(command.file, [...command.args], {
      ...place(command),
      env: environment(command),
      stdio: [options.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      detached: options.detached ?? false,
    });
    const merged = new PassThrough();
    let open = 2;
    let stderr = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.pipe(merged, { end: false });
      stream?.once('close', () => {
        open -= 1;
        if (open === 0) merged.end();
      });
    }
    child.stderr?.on('data', chunk => {
      stderr = `${stderr}${chunk}`.slice(-KEPT_STDERR);
    });
    child.stdin?.on('error', () => {});
    const ended: Child['ended'] = new Promise((resolve, reject) => {
      child.once('error', error => {
        merged.end();
        reject(spawnFailure(wanted, error));
      });
      child.once('close', (code, signal) => resolve({ code, signal, stderr }));
    });
    ended.catch(() => {});
    const stop = () => child.kill('SIGTERM');
    options.signal?.addEventListener('abort', stop, { once: true });
    ended.finally(() => options.signal?.removeEventListener('abort', stop)).catch(() => {});
    return {
      pid: child.pid ?? -1,
      stdin: child.stdin,
      lines: () => createInterface({ input: merged }),
      ended,
      kill: signal => {
        child.kill(signal);
      },
    };
  },

  which: found,
};

/** Starts this very program with other arguments in a session of its own, in the same directory and environment; nothing of it is heard. */
export function startApart(args: readonly string[]): void {
  const child = spawn(process.execPath, isSea() ? args : [process.argv[1]!, ...args], { stdio: 'ignore', detached: true });
  // Without it what is asked next is fetched the long way.
  child.on('error', () => {});
  child.unref();
}
