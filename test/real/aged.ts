import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest, Store } from '../../src/core/contracts.ts';
import { makeId } from '../../src/core/id.ts';
import { encodeManifest } from '../../src/core/manifest.ts';
import { putBytes, readAll } from '../../src/flow/bytes.ts';
import { makeKeys } from '../../src/flow/keys.ts';

const DAY = 86_400_000;

/** Signs as the host whose keys lie in a directory does. */
export const signerOf = (keysDir: string) =>
  makeKeys({ recipients: [], trusted: [], signing: () => readFileSync(join(keysDir, 'signing.key'), 'utf8').trim() }).sign;

const earlier = (text: string, days: number): string => new Date(Date.parse(text) - days * DAY).toISOString();

/** Puts a copy of a backup beside it, whole and signed, as it would be had it been taken so many days before. `as` is its id, if not a new one. @returns its id */
export async function agedCopy(
  store: Store,
  base: string,
  id: string,
  days: number,
  sign: ReturnType<typeof signerOf>,
  options: { change?: Partial<Manifest>; as?: string } = {},
): Promise<string> {
  const raw = await readAll(store.get(`${base}/backups/${id}/manifest.json`));
  const text = raw.subarray(0, raw.indexOf('\n')).toString('utf8');
  const began = (JSON.parse(text) as Manifest).startedAt;
  const copy = options.as ?? makeId(new Date(earlier(began, days)), randomBytes(3));
  const manifest = JSON.parse(text.replaceAll(id, copy)) as Manifest;
  for (const piece of manifest.pieces) {
    if (!('objects' in piece)) continue;
    for (const { key, blocks } of piece.objects) {
      const bytes = await readAll(store.get(key.replace(copy, id)));
      if (blocks.length === 1 && createHash('sha256').update(bytes).digest('hex') !== blocks[0])
        throw new Error(`${key} is not what was stored`);
      await putBytes(store, key, bytes);
    }
  }
  for (const field of ['startedAt', 'recoveryPointAt', 'finishedAt'] as const) manifest[field] = earlier(manifest[field], days);
  await putBytes(store, `${base}/backups/${copy}/manifest.json`, encodeManifest({ ...manifest, ...options.change }, sign));
  return copy;
}
