import type { Command, Site } from '../../../../core/contracts.ts';
import { BkpError } from '../../../../core/errors.ts';
import { type Context, called } from '../config.ts';

/**
 * The program k3s there.
 * @throws BkpError('failed') when it is not there
 */
export async function k3sProgram(ctx: Context, site: Site): Promise<string> {
  const found = await site.which('k3s', [...ctx.config.bin, '/usr/local/bin']);
  if (found) return found;
  throw new BkpError('failed', `${called(ctx)}: k3s is not on PATH of ${site.name} and not in \`bin:\``, {
    next: '`bin: [DIR]`, `where:` or `flavor: etcd` in the entry',
  });
}

/** `k3s etcd-snapshot …` on the K3s of the entry. */
export const snapshotCommand = (ctx: Context, k3s: string, verb: string, ...args: string[]): Command => ({
  file: k3s,
  args: ['etcd-snapshot', verb, '--data-dir', ctx.config.k3s.dataDir, ...args],
});

/** Version of K3s, such as `v1.34.1+k3s1`. */
export async function k3sVersion(site: Site, k3s: string): Promise<string> {
  const { stdout } = await site.text({ file: k3s, args: ['--version'] });
  return /k3s version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
}
