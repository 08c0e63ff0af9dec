import type { Child, Command } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { Context } from './cli.ts';
import { type Info, parseInfo } from './info.ts';
import type { Names } from './layout.ts';
import type { Program } from './programs.ts';

/** A server that only this process reaches: no TCP port, a socket in its own directory. Both programs take names relative to that. */
export interface Private {
  program: Program;
  client: string;
  /** Its data directory, of mode 700. */
  dir: string;
  names: Names;
  /** How many it needs at least. */
  databases: number;
  /** Modules that it loads, each with its arguments. */
  modules: readonly string[];
}

/** Redis has so many unless it is told otherwise. */
export const USUAL_DATABASES = 16;
const SOCKET = 'bkp.sock';
const STOP_MS = 10_000;

function command({ program, dir, names, databases, modules }: Private, appendonly: 'yes' | 'no'): Command {
  const settings: [string, string][] = [
    ['port', '0'],
    ['unixsocket', SOCKET],
    ['unixsocketperm', '700'],
    ['dir', dir],
    ['dbfilename', names.dump],
    ['appenddirname', names.aofDir],
    ['appendfilename', names.aof],
    ['appendonly', appendonly],
    ['save', ''],
    ['daemonize', 'no'],
    ['logfile', ''],
    ['maxmemory', '0'],
    ['databases', String(Math.max(USUAL_DATABASES, databases))],
  ];
  const known = Number(program.version.split('.')[0]) < 7 ? settings.filter(([name]) => name !== 'appenddirname') : settings;
  return {
    file: program.file,
    args: [...known.flatMap(([name, value]) => [`--${name}`, value]), ...modules.flatMap(each => ['--loadmodule', ...each.split(/\s+/)])],
    cwd: dir,
  };
}

/** Asks the private server. Throws BkpError('failed') when it does not answer, or answers with an error. */
export async function askPrivate(ctx: Context, place: Private, ...words: string[]): Promise<string> {
  const { stdout } = await ctx.run.text(
    { file: place.client, args: ['-s', SOCKET, ...words], cwd: place.dir },
    { signal: ctx.signal, timeoutMs: 60_000 },
  );
  const said = stdout.replace(/\r?\n$/, '');
  if (/^(ERR|NO[A-Z]+|LOADING|MISCONF|OOM) /.test(said)) throw new BkpError('failed', `the private server said: ${said}`);
  return said;
}

/** Gathers what a server logs, and tells its last words when it ends. */
function listening(child: Child): { log: string[]; gone: Promise<never> } {
  const log: string[] = [];
  const gone = (async () => {
    for await (const line of child.lines()) log.splice(0, Math.max(0, log.push(line) - 200));
    const { code, signal } = await child.ended;
    const words = log.filter(line => /error|fatal|can't|wrong|fail|invalid|bad|unexpected|unrecognized/i.test(line)).slice(-4);
    throw new BkpError('failed', `the private server ended (${code ?? signal}): ${(words.length > 0 ? words : log.slice(-3)).join(' | ')}`);
  })();
  gone.catch(() => {});
  return { log, gone };
}

async function loaded(ctx: Context, place: Private, gone: Promise<never>): Promise<Info> {
  for (;;) {
    ctx.signal.throwIfAborted();
    const info = await askPrivate(ctx, place, 'INFO').then(parseInfo, () => undefined);
    if (info?.get('loading') === '0') return info;
    await Promise.race([ctx.clock.sleep(100, ctx.signal), gone]);
  }
}

/** Ends it, by force when it does not listen. */
async function stop(child: Child): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  child.kill('SIGTERM');
  try {
    return await child.ended;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs a server on a laid out directory until `use` is done, and ends it whatever comes.
 * @throws BkpError('failed') with its last words when it does not load the data, or does not end well
 */
export async function withPrivate(
  ctx: Context,
  place: Private,
  appendonly: 'yes' | 'no',
  use: (info: Info) => Promise<void>,
): Promise<void> {
  const child = ctx.run.start(command(place, appendonly), { signal: ctx.signal, tied: 'SIGKILL' });
  const { gone } = listening(child);
  let ended: Awaited<ReturnType<typeof stop>>;
  try {
    const info = await loaded(ctx, place, gone);
    await Promise.race([use(info), gone]);
  } finally {
    ended = await stop(child);
  }
  if (ended.code !== 0) throw new BkpError('failed', `the private server did not shut down clean (${ended.code ?? ended.signal})`);
}
