import { readdir, readlink, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Manifest, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { exists, freeBytes, inspect as inspectPlace, nearest, refuseFull, refuseOurs } from '../../../flow/place.ts';

/** A process that has a file of a directory open, by its id; moving the directory would take it along, from under its feet. */
async function userOfFiles(dir: string): Promise<number | undefined> {
  for (const pid of (await readdir('/proc').catch(() => [])).filter(name => /^\d+$/.test(name))) {
    const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const fd of fds) {
      const path = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      if (path.startsWith(`${dir}/`)) return Number(pid);
    }
  }
  return undefined;
}

const isDomain = async (dir: string): Promise<string | undefined> =>
  (await exists(join(dir, 'private/sam.ldb'))) || (await exists(join(dir, 'sam.ldb'))) ? 'an Active Directory domain' : undefined;

/**
 * Refuses a place that is in use or holds something, the latter unless forced.
 * @returns true when what is there has to be moved aside
 * @throws BkpError('refused')
 */
export async function inspect(ctx: TargetContext, to: string, force: boolean): Promise<boolean> {
  await refuseOurs(ctx.stores, to);
  const aside = await inspectPlace(to, force, isDomain);
  const pid = aside ? await userOfFiles(to) : undefined;
  if (pid !== undefined)
    throw new BkpError('refused', `files in ${to} are in use by process ${pid}`, {
      next: ['stop samba first', 'or restore elsewhere with --to'],
    });
  return aside;
}

/** Plain bytes of the archive of a backup. */
export function tarBytes({ id, pieces }: Manifest): number {
  const piece = pieces.find(({ name }) => name === 'domain.tar');
  if (piece && 'objects' in piece) return piece.bytes;
  throw new BkpError('verifyFailed', `the manifest of backup ${id} names no domain.tar`);
}

/** What a restore writes beyond the archive: the databases grow while DCs are taken out and one is put in. */
const GROWTH = 1.3;

/** Room for the archive among the temporary files and for the domain at its place. @throws BkpError('refused') */
export async function refuseNoRoom(manifest: Manifest, to: string, temp: string): Promise<void> {
  const bytes = tarBytes(manifest);
  const one = (await stat(await nearest(to))).dev === (await stat(temp)).dev;
  await refuseFull(to, Math.ceil(bytes * GROWTH) + (one ? bytes : 0), '--to');
  if (one || (await freeBytes(temp)) >= bytes) return;
  throw new BkpError('refused', `${temp} has ${await freeBytes(temp)} bytes free, and the archive is of ${bytes}`, {
    next: '`temp:` in the config names a directory with more room',
  });
}

/** The paths of a restored smb.conf begin with its place, and there a `%` begins a substitution and a line break ends the value. @throws BkpError('usage') */
export function refuseUnwritable(to: string): void {
  if (!/[%\r\n]/.test(to)) return;
  const what = to.includes('%') ? 'a %, which begins a substitution in smb.conf' : 'a line break, which ends a setting of smb.conf';
  throw new BkpError('usage', `${JSON.stringify(to)} has ${what}: Samba would look for the domain elsewhere`, {
    next: 'restore to a directory without it: --to, or `dataDir:` of the entry',
  });
}

/** samba-tool sets the owners and permissions of sysvol, which only root may. @throws BkpError('refused') */
export function refuseUnprivileged(): void {
  if (process.getuid?.() !== 0)
    throw new BkpError('refused', 'a domain is restored as root: the permissions of sysvol are set by it', { next: 'sudo bkp …' });
}

/** The first directory at or above a place that accounts of the domain cannot enter: they read sysvol as themselves. */
export async function closedAbove(to: string): Promise<string | undefined> {
  for (let at = to; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return at;
    if (at === dirname(at)) return undefined;
  }
}
