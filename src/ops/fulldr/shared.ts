import { chmod, chown, mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { BkpError, sentence } from '../../core/errors.ts';
import { exists, parentOwner } from '../../flow/place.ts';

async function missingAbove(place: string): Promise<string[]> {
  const missing: string[] = [];
  for (let at = dirname(place); !(await exists(at)); at = dirname(at)) missing.push(at);
  return missing;
}

/** Others may walk through it and not look around in it; what lies in it is closed by itself. */
async function make(dir: string): Promise<void> {
  const owner = await parentOwner(dir);
  await mkdir(dir);
  await chmod(dir, 0o711);
  if (process.getuid?.() === 0) await chown(dir, owner.uid, owner.gid);
}

/**
 * Makes the directories that are missing above more than one place, and all that are missing in the directory of the whole and above it,
 * open to be entered: the part that came first would make them its own (mode 700), and neither the account of the next one nor whom a server lets read
 * (the domain, its sysvol) could get there. They belong to whoever owns the directory around them.
 * @param places absolute paths
 * @param root the directory of the whole, where there is one
 * @throws BkpError('refused') naming the one that cannot be made
 */
export async function makeShared(places: readonly string[], root?: string): Promise<void> {
  const above = (await Promise.all(places.map(missingAbove))).flat();
  const whole = root === undefined ? undefined : resolve(root);
  // What is missing above the whole, too: where it has one part only, no other place has those directories above it.
  const isOfWhole = (dir: string): boolean => whole !== undefined && (`${dir}/`.startsWith(`${whole}/`) || whole.startsWith(`${dir}/`));
  const shared = [...new Set(above.filter((dir, n) => above.indexOf(dir) !== n || isOfWhole(dir)))];
  for (const dir of shared.sort((a, b) => a.length - b.length))
    await make(dir).catch(cause => {
      throw new BkpError('refused', `directory ${dir} cannot be made: ${sentence(cause)}`, { next: '--to with another directory', cause });
    });
}
