import type { Runner, Site } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { type Context, called } from './config.ts';

/** A program of etcd with its version as numbers, `[3, 6, 16]`. */
export interface Program {
  file: string;
  version: readonly number[];
}

/** What works on a snapshot file without a server: etcdutl, or etcdctl up to 3.5. */
export interface Offline extends Program {
  /** Knows `--bump-revision` and `--mark-compacted`. */
  bumps: boolean;
}

const numbers = (text: string): number[] => (/(?:version|Version): v?(\d+)\.(\d+)\.(\d+)/.exec(text) ?? []).slice(1).map(Number);

/** `3.6`, by which servers and their tools belong together. */
export const minor = (version: readonly number[]): string => version.slice(0, 2).join('.');

const rank = (version: readonly number[]): number => (version[0] ?? 0) * 1000 + (version[1] ?? 0);

/** Numbers of a version such as `3.6.0`; empty for one that is not known. */
export const parseVersion = (text: string | undefined): number[] => (text ? text.split('.').map(Number).filter(Number.isInteger) : []);

/**
 * etcdctl at a place.
 * @throws BkpError('failed') when it is not there
 */
export async function etcdctl(ctx: Context, site: Site): Promise<string> {
  const found = await site.which('etcdctl', ctx.config.bin);
  if (found) return found;
  throw new BkpError('failed', `${called(ctx)}: etcdctl is not on PATH of ${site.name} and not in \`bin:\``, {
    next: 'apt-get install etcd-client, or `bin: [DIR]` in the entry',
  });
}

async function versionOf(run: Runner, file: string, words: readonly string[]): Promise<number[]> {
  const said = await run.text({ file, args: words, env: { ETCDCTL_API: '3' } });
  return numbers(`${said.stdout}${said.stderr}`);
}

/** Paths of a program in the directories of the config and on PATH, without doubles. */
function everywhere(ctx: Context, program: string): string[] {
  const dirs = [...ctx.config.bin, ...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/usr/local/bin'];
  return [...new Set(dirs.filter(Boolean).flatMap(dir => ctx.run.which(`${dir}/${program}`) ?? []))];
}

async function offlineAt(ctx: Context, file: string): Promise<Offline | undefined> {
  try {
    const version = await versionOf(ctx.run, file, ['version']);
    const { stdout, stderr } = await ctx.run.text({ file, args: ['snapshot', 'restore', '--help'], env: { ETCDCTL_API: '3' } });
    const help = `${stdout}${stderr}`;
    return help.includes('--data-dir') ? { file, version, bumps: help.includes('--bump-revision') } : undefined;
  } catch (error) {
    ctx.report.emit({ type: 'warning', text: `${file} is passed over: ${sentence(error)}` });
    return undefined;
  }
}

/** The best fit: the very minor version, else the oldest newer one. An older one does not read what a newer server wrote. */
function fitting<T extends Program>(found: readonly T[], server: readonly number[]): T | undefined {
  const usable = found.filter(({ version }) => rank(version) >= rank(server)).sort((a, b) => rank(a.version) - rank(b.version));
  return server.length === 0 ? usable.at(-1) : usable[0];
}

const missing = (ctx: Context, what: string, server: readonly number[], found: readonly Program[]): BkpError => {
  const needed = server.length === 0 ? what : `${what} ${minor(server)} or newer`;
  const seen = found.map(({ file, version }) => `${file} is ${version.join('.')}`).join(', ') || 'there is none';
  return new BkpError('failed', `${called(ctx)}: ${needed} is needed on this host, and ${seen}`, {
    next: "install etcd's programs of that version, and name their directory in `bin:` of the entry",
  });
};

/**
 * What reads and restores snapshots on this host, for the version of a server (empty = not known).
 * @throws BkpError('failed') naming what was found
 */
export async function offline(ctx: Context, server: readonly number[]): Promise<Offline> {
  const files = [...everywhere(ctx, 'etcdutl'), ...everywhere(ctx, 'etcdctl')];
  const found = (await Promise.all(files.map(file => offlineAt(ctx, file)))).filter(each => each !== undefined);
  const best = fitting(found, server);
  if (!best) throw missing(ctx, 'etcdutl', server, found);
  return best;
}

/**
 * The server program of the minor version of some tool, for a copy that is tried.
 * @throws BkpError('failed') naming what was found
 */
export async function serverProgram(ctx: Context, tool: Program): Promise<Program> {
  const files = everywhere(ctx, 'etcd');
  const found = await Promise.all(files.map(async file => ({ file, version: await versionOf(ctx.run, file, ['--version']) })));
  const best = found.find(({ version }) => minor(version) === minor(tool.version)) ?? fitting(found, tool.version);
  if (!best) throw missing(ctx, 'the server program etcd', tool.version, found);
  return best;
}
