import { createHash, randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ManifestCache, Remembered } from '../core/contracts.ts';
import { xdgHome } from '../core/xdg.ts';
import { makeDir } from '../flow/makeDir.ts';

/** `$XDG_CACHE_HOME/bkp`, else `~/.cache/bkp`; undefined where neither is known. */
export function cacheDir(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const home = xdgHome(env, 'XDG_CACHE_HOME');
  return home ? join(home, 'bkp') : undefined;
}

const isRemembered = (value: unknown): value is Remembered & { key: string } => {
  const entry = value as Record<string, unknown> | null;
  return ['key', 'modified', 'raw'].every(field => typeof entry?.[field] === 'string') && typeof entry?.['bytes'] === 'number';
};

function parse(text: string): Map<string, Remembered> {
  const entries: unknown = JSON.parse(text);
  const found = Array.isArray(entries) ? entries.filter(isRemembered) : [];
  return new Map(found.map(({ key, ...remembered }) => [key, remembered]));
}

/** One file per target and store in `dir`. A directory that cannot be read or written means no short cut, and no error. */
export function manifestCache(dir: string): ManifestCache {
  const fileOf = (base: string, store: string): string =>
    join(dir, `${createHash('sha256').update(`${base}\n${store}`).digest('hex').slice(0, 32)}.json`);
  const write = async (path: string, text: string): Promise<void> => {
    const temp = `${path}.${randomBytes(6).toString('hex')}`;
    try {
      await makeDir(dir, 0o700);
      await writeFile(temp, text, { mode: 0o600 });
      await rename(temp, path);
    } catch {
      // A read-only or full disk only costs time at the next listing.
      await rm(temp, { force: true }).catch(() => {});
    }
  };
  return {
    async load(base, store) {
      try {
        return parse(await readFile(fileOf(base, store), 'utf8'));
      } catch {
        return new Map();
      }
    },
    async save(base, store, manifests) {
      await write(fileOf(base, store), JSON.stringify([...manifests].map(([key, remembered]) => ({ key, ...remembered }))));
    },
  };
}
