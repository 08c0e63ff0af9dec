import type { Command, Site, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { openSite } from '../../../flow/site/index.ts';
import type { RedisConfig } from './config.ts';
import type { Version } from './formats.ts';

export type Context = TargetContext<RedisConfig>;

/** How long a question may wait for its answer. */
const ANSWER_MS = 15_000;
/** How long a dump of next to nothing may take: replicas are given some seconds to gather first. */
const DUMP_MS = 60_000;

/** redis-cli or valkey-cli of the place where the tools run, and how it reaches the server. */
export interface Cli {
  site: Site;
  file: string;
  /** Asks one command. Throws BkpError('failed') with what the server says when it is an error. */
  ask(...words: string[]): Promise<string>;
  /** As `ask`, for words that no argument list may show. */
  tell(...words: string[]): Promise<string>;
  /** The command that stores a dump as a file which must not be there yet. */
  dump(file: string): Command;
  /** Takes a dump of the functions alone and drops it. Throws BkpError('failed') with why it does not come. */
  tryDump(): Promise<void>;
}

/** Of an ACL user that has no password too, an empty one is sent: without one redis-cli would be whoever needs none. */
const authEnv = ({ user, password }: RedisConfig): Record<string, string> =>
  user === undefined && password === undefined ? {} : { REDISCLI_AUTH: password ?? '' };

function connection({ host, port, user, tls }: RedisConfig): string[] {
  const pair = (flag: string, value: string | undefined): string[] => (value === undefined ? [] : [flag, value]);
  return [
    ...['-h', host, '-p', String(port)],
    ...pair('--user', user),
    ...(tls ? ['--tls', ...pair('--cacert', tls.ca), ...pair('--cert', tls.cert), ...pair('--key', tls.key)] : []),
    ...(tls ? pair('--sni', tls.serverName) : []),
  ];
}

/** An error of the server as redis-cli prints it, its code first, or of its answer to AUTH, which redis-cli itself passes over. */
const ERROR = /^(?:\(error\) )?((?:ERR|NO[A-Z]+|WRONGPASS|LOADING|BUSY|MISCONF|READONLY|MASTERDOWN|DENIED|EXECABORT|OOM|UNKILLABLE) .*)$/m;
const AUTH = /AUTH failed: (.*)/;

/** For redis-cli's own reader of lines: quotes, and what is no plain letter as `\xHH`. */
const quoted = (word: string): string =>
  `"${[...Buffer.from(word)].map(byte => (/[\w.,:/+-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`)).join('')}"`;

const CLIENTS = ['valkey-cli', 'redis-cli'];

async function clientOf(ctx: Context, site: Site): Promise<string> {
  for (const name of CLIENTS) {
    const file = await site.which(name, ctx.config.bin);
    if (file) return file;
  }
  throw new BkpError('failed', `redis/${ctx.name}: neither redis-cli nor valkey-cli is on PATH of ${site.name} and in \`bin:\``, {
    next: 'apt-get install redis-tools, or name its directory in `bin:`',
  });
}

/** What to do about an error of the server or of the connection. */
function nextStep(ctx: Context, text: string): string[] {
  const { config, name } = ctx;
  if (/WRONGPASS|NOAUTH|called without any password|invalid password/.test(text))
    return [`check \`user:\` and \`password:\` of redis/${name}`, 'the server lists its users: ACL LIST'];
  const [, renamed] = /unknown command '([^']+)'/i.exec(text) ?? [];
  if (renamed)
    return [
      `${renamed.toUpperCase()} is renamed or taken away by \`rename-command\` of the server's redis.conf: give it back, and keep it from other users by ACL`,
    ];
  if (/NOPERM/.test(text)) return [`bkp doctor redis ${name} prints the ACL line that allows it`];
  if (/certificate|SSL|TLS/i.test(text)) return ['check `tls:` and its `ca:`; the server names its own: CONFIG GET tls-*'];
  if (/reset by peer|closed the connection/.test(text))
    return [
      config.tls
        ? 'check `tls:`, and whether the server wants a client certificate (`cert:`, `key:`)'
        : 'does that port speak TLS? `tls: {}`',
    ];
  if (/refused|no answer in|resolve|not known|unreachable|timed out/i.test(text))
    return [`does it run and listen there? redis-cli -h ${config.host} -p ${config.port} PING`];
  return [`bkp doctor redis ${name}`];
}

/** The error of a client or of the server, with the address and what to do. */
export function serverError(ctx: Context, reason: string, cause?: unknown): BkpError {
  const { host, port } = ctx.config;
  return new BkpError('failed', `redis/${ctx.name} at ${host}:${port}: ${reason}`, { next: nextStep(ctx, reason), cause });
}

/** The words of a client that failed, without its path, its arguments and lines that say nothing. */
const words = (error: unknown): string =>
  sentence(error)
    .split('\n')
    .map(line => line.trim().replace(/(^|: )(sending REPLCONF|SYNC sent).*$/, ''))
    .filter(line => line !== '')
    .join('; ');

function checked(ctx: Context, { stdout, stderr }: { stdout: string; stderr: string }): string {
  const reason = AUTH.exec(stderr)?.[1] ?? ERROR.exec(stdout.slice(0, 2000).split('\n')[0]!)?.[1];
  if (reason !== undefined) throw serverError(ctx, reason);
  return stdout.replace(/\r?\n$/, '');
}

/**
 * Opens the place of the tools and finds a client there. `cli.site.close()` has to be called in the end.
 * @throws BkpError('failed') when there is none
 */
export async function openCli(ctx: Context): Promise<Cli> {
  const site = await openSite(ctx, ctx.config.where);
  try {
    return cliOf(ctx, site, await clientOf(ctx, site));
  } catch (error) {
    await site.close();
    throw error;
  }
}

function cliOf(ctx: Context, site: Site, file: string): Cli {
  const command = (args: readonly string[]): Command => ({
    file,
    args: [...connection(ctx.config), ...args],
    env: authEnv(ctx.config),
  });
  const run = async (args: readonly string[], input?: string): Promise<string> => {
    const options = { timeoutMs: ANSWER_MS, ...(input === undefined ? {} : { input }) };
    const said = await site.text(command(args), options).catch(error => {
      ctx.signal.throwIfAborted();
      throw error instanceof BkpError ? serverError(ctx, words(error), error) : error;
    });
    return checked(ctx, said);
  };
  return {
    site,
    file,
    ask: (...args) => run(args),
    tell: (...args) => run([], `${args.map(quoted).join(' ')}\n`),
    dump: path => command(['--rdb', path]),
    async tryDump() {
      const path = `${await site.dir()}/functions.rdb`;
      await site.text(command(['--functions-rdb', path]), { timeoutMs: DUMP_MS }).catch(error => {
        ctx.signal.throwIfAborted();
        throw dumpError(ctx, error);
      });
      await site.remove(path);
    },
  };
}

/** Runs a piece of work with a client, and closes its place, whatever comes. */
export async function withCli<T>(ctx: Context, work: (cli: Cli) => Promise<T>): Promise<T> {
  const cli = await openCli(ctx);
  try {
    return await work(cli);
  } finally {
    await cli.site.close();
  }
}

/** The version of the client itself, as `redis-cli 7.0.15` says it. */
export async function clientVersion({ site, file }: Cli): Promise<Version | undefined> {
  const { stdout } = await site.text({ file, args: ['--version'] }, { timeoutMs: ANSWER_MS });
  const [, flavor, version] = /^(redis|valkey)-cli (\d\S*)/.exec(stdout) ?? [];
  return version === undefined ? undefined : { flavor: flavor as Version['flavor'], version };
}

export const NEWER_CLIENT =
  'redis-cli asks for the format of Redis, which cannot hold what Valkey 9 added: put valkey-cli 9 on PATH, or name it in `bin:`';

/** Why a dump did not come, in the client's words. */
export const dumpError = (ctx: Context, error: unknown): BkpError => serverError(ctx, words(error), error);
