import type { BigIntStats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';

const STRANGE = '\ufffd';

/** How restic and we show a name alike, whatever each makes of bytes that are no UTF-8. */
export const shown = (name: Buffer | string): string => name.toString().replace(/\ufffd+/g, STRANGE);

const under = (dir: Buffer, name: Buffer): Buffer => Buffer.concat([dir, Buffer.from('/'), name]);

/** Every path of this host that is shown like this one. */
async function likely(path: string): Promise<Buffer[]> {
  let found: Buffer[] = [Buffer.alloc(0)];
  for (const part of path.split('/').slice(1)) {
    const next: Buffer[] = [];
    for (const dir of found) {
      if (!part.includes(STRANGE)) next.push(under(dir, Buffer.from(part)));
      else
        for (const name of await readdir(under(dir, Buffer.alloc(0)), { encoding: 'buffer' }).catch(() => []))
          if (shown(name) === shown(part)) next.push(under(dir, name));
    }
    found = next;
  }
  return found;
}

const look = (path: string | Buffer): Promise<BigIntStats | undefined> => lstat(path, { bigint: true }).catch(() => undefined);

/**
 * What lies at a path that restic told. It tells names in JSON, where bytes that are no UTF-8 become U+FFFD: of such a name all come that
 * look like it.
 * @param path absolute
 * @returns nothing where nothing is there
 */
export async function lookAt(path: string): Promise<BigIntStats[]> {
  const found = [await look(path)];
  if (!found[0] && path.includes(STRANGE)) found.push(...(await Promise.all((await likely(path)).map(look))));
  return found.filter(each => each !== undefined);
}
