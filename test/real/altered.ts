import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest, PieceRef } from '../../src/core/contracts.ts';
import { makeId } from '../../src/core/id.ts';
import { encodeManifest } from '../../src/core/manifest.ts';
import { putBytes, readAll } from '../../src/flow/bytes.ts';
import { makeKeys } from '../../src/flow/keys.ts';
import { openPiece } from '../../src/flow/open.ts';
import { sealPiece } from '../../src/flow/seal.ts';
import { openDirectory } from '../../src/providers/stores/directory.ts';
import { systemRunner } from '../../src/system/runner.ts';
import type { Setup } from './setup.ts';

const BASE = 'bkp/production/postgres/app';

/** Where the contents of a member of a tar lie. @throws when it has no such member */
export function memberOf(tar: Buffer, name: string): { from: number; bytes: number } {
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const found = tar
      .subarray(at, at + 100)
      .toString('utf8')
      .replace(/\0.*/s, '');
    const bytes = Number.parseInt(tar.subarray(at + 124, at + 136).toString('latin1'), 8);
    if (found === name) return { from: at + 512, bytes };
    at += 512 + Math.ceil(bytes / 512) * 512;
  }
  throw new Error(`the archive has no ${name}`);
}

/** Writes the SHA-256 of a changed file into PostgreSQL's own manifest, and that of the manifest: pg_verifybackup sees nothing. */
export function recordAnew(tar: Buffer, name: string): void {
  const file = memberOf(tar, name);
  const { from, bytes } = memberOf(tar, 'backup_manifest');
  const text = tar.subarray(from, from + bytes).toString('latin1');
  const sha256 = createHash('sha256')
    .update(tar.subarray(file.from, file.from + file.bytes))
    .digest('hex');
  const entry = new RegExp(`("Path": "${name}".*"Checksum": ")[0-9a-f]{64}`);
  if (!entry.test(text)) throw new Error(`backup_manifest does not name ${name}`);
  const changed = text.replace(entry, `$1${sha256}`);
  const body = changed.slice(0, changed.indexOf('"Manifest-Checksum"'));
  tar.write(`${body}"Manifest-Checksum": "${createHash('sha256').update(body, 'latin1').digest('hex')}"}\n`, from, 'latin1');
}

/**
 * Puts a changed backup into a store, sealed and signed as bkp would, as the newest one.
 * @param change the tar in place
 * @param more of its manifest
 * @returns its id
 */
export async function altered(
  at: Setup,
  id: string,
  change: (tar: Buffer) => void,
  options: { store?: string; more?: (manifest: Manifest) => Partial<Manifest> } = {},
): Promise<string> {
  const store = openDirectory('altered', { type: 'directory', path: at.stores[options.store ?? 'local']! });
  const file = (name: string) => readFileSync(join(at.keysDir, name), 'utf8').trim();
  const recipients = (at.keys as { recipients: string[] }).recipients;
  const keys = makeKeys({ recipients, trusted: [], identity: () => file('identity.txt'), signing: () => file('signing.key') });
  const around = { run: systemRunner, signal: new AbortController().signal, report: { emit: () => {} } };
  const raw = await readAll(store.get(`${BASE}/backups/${id}/manifest.json`));
  const manifest: Manifest = JSON.parse(raw.subarray(0, raw.indexOf('\n')).toString('utf8'));
  const tar = await readAll(openPiece(manifest.pieces[0] as PieceRef, manifest.line, [store], { keys, ...around }));
  change(tar);
  const startedAt = new Date(Date.parse(manifest.startedAt) + 60_000);
  const copy = makeId(startedAt, randomBytes(3));
  async function* bytes() {
    yield tar;
  }
  const seal = { keyPrefix: `${BASE}/backups/${copy}`, stores: [store], need: 1, recipients, ...around };
  const { ref } = await sealPiece('base.tar', bytes(), seal);
  const made = { ...manifest, id: copy, startedAt: startedAt.toISOString(), pieces: [ref] };
  await putBytes(store, `${BASE}/backups/${copy}/manifest.json`, encodeManifest({ ...made, ...options.more?.(made) }, keys.sign));
  return copy;
}
