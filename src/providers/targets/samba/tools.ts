import { join } from 'node:path';
import type { Site, TargetContext } from '../../../core/contracts.ts';
import { parseDuration } from '../../../core/duration.ts';
import { BkpError } from '../../../core/errors.ts';
import { modeOf, type SambaConfig } from './config.ts';
import { explained } from './errors.ts';

type Context = TargetContext<SambaConfig>;

/** samba-tool in one place, and the Python that it runs on. */
export interface Tools {
  site: Site;
  path: string;
  python: string;
}

/**
 * Finds samba-tool. Its first line names the Python that has Samba's modules: the one on PATH may be another.
 * @throws BkpError('failed') when there is none
 */
export async function findTools(site: Site, bin: readonly string[]): Promise<Tools> {
  const path = await site.which('samba-tool', bin);
  if (path === undefined)
    throw new BkpError('failed', `samba-tool is not on ${site.name}`, {
      next: ['apt-get install samba samba-ad-provision', 'or name its directory: `bin:` of the entry'],
    });
  const { stdout } = await site.text({ file: 'head', args: ['-c', '200', path] });
  const [, python] = /^#!\s*(?:\S*\/env\s+)?(\S*python\S*)/.exec(stdout) ?? [];
  return { site, path, python: python ?? 'python3' };
}

/** Options for the smb.conf of the entry. */
export const confArgs = ({ smbConf }: SambaConfig): string[] => (smbConf === undefined ? [] : ['-s', smbConf]);

/** How the directory of the source is asked: its files on the DC, or LDAP and SMB under an account. */
export interface Access {
  args: readonly string[];
  env: Record<string, string>;
}

/**
 * Options and environment that let samba-tool in as the account of the entry. Its password goes by a file of mode 600 in a directory of
 * this operation, which no argument shows; without an account, as the DC itself.
 */
export async function credentials(ctx: Context, site: Site, dir: string): Promise<Access> {
  const { user, password } = ctx.config;
  if (user === undefined) return { args: ['-P'], env: {} };
  if (user.includes('%'))
    throw new BkpError('usage', `the user of samba/${ctx.name} has a %, behind which Samba reads a password that \`ps\` shows`, {
      next: '`user:` is the name alone, and the password stands in `password:`',
    });
  if (password === undefined)
    throw new BkpError('usage', `samba/${ctx.name} has a \`user:\` without a \`password:\``, { next: "password: '${SAMBA_PASSWORD}'" });
  if (/[\r\n]/.test(password)) throw new BkpError('usage', `the password of samba/${ctx.name} holds a line break, which Samba cannot take`);
  const path = join(dir, 'password');
  await site.write(
    path,
    (async function* () {
      yield Buffer.from(password);
    })(),
  );
  return { args: ['-U', user], env: { PASSWD_FILE: path } };
}

/** By whose eyes the source is looked at: with an account over the network, else the files of the DC. */
export async function accessOf(ctx: Context, site: Site, dir: string): Promise<Access> {
  const { user, server } = ctx.config;
  if (user === undefined) return { args: confArgs(ctx.config), env: {} };
  if (server === undefined && modeOf(ctx.config) === 'online')
    throw new BkpError('usage', `samba/${ctx.name} has a \`user:\` and no \`server:\` to which it belongs`, {
      next: 'server: dc1.example.org',
    });
  if (server === undefined) return { args: confArgs(ctx.config), env: {} };
  const { args, env } = await credentials(ctx, site, dir);
  return { args: [...confArgs(ctx.config), '--server', server, ...args], env };
}

export const millis = (ctx: Context, name: keyof SambaConfig['timeouts']): number => parseDuration(ctx.config.timeouts[name]);

/**
 * Runs samba-tool to its end, its temporary files in `dir`.
 * @param what for the sentence of a failure
 * @param options `script`: Python that runs it instead, given its path; `from`: what it works on, for the words of a failure
 * @returns all that it said
 * @throws BkpError('failed') in words that say what to do
 */
export async function sambaTool(
  tools: Tools,
  what: string,
  args: readonly string[],
  options: { dir: string; env?: Record<string, string>; timeoutMs: number; script?: string; from?: 'network' | 'files' },
): Promise<string> {
  const { script } = options;
  const run = script === undefined ? { file: tools.path, args } : { file: tools.python, args: ['-c', script, tools.path, ...args] };
  const command = { ...run, env: { ...options.env, TMPDIR: options.dir } };
  try {
    const { stdout, stderr } = await tools.site.text(command, { timeoutMs: options.timeoutMs });
    return `${stdout}\n${stderr}`;
  } catch (error) {
    throw explained(what, error, options.from);
  }
}
