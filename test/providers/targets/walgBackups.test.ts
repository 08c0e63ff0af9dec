import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { putBytes } from '../../../src/flow/bytes.ts';
import { openDirectory } from '../../../src/providers/stores/directory.ts';
import { listed, readBackup } from '../../../src/providers/targets/postgres/walg/backups.ts';

const NAME = 'base_000000010000000000000002';
const root = mkdtempSync(join(tmpdir(), 'walg-'));
let made = 0;

afterAll(() => rmSync(root, { recursive: true }));

/** What a backup lacks, by its own files: parts of ten bytes each, and what its three files of JSON say. */
async function missing(parts: readonly string[], files: object, sentinel: object = {}): Promise<string[]> {
  const store = openDirectory('local', { type: 'directory', path: root });
  made += 1;
  const prefix = `p${made}`;
  const under = `${prefix}/basebackups_005/${NAME}`;
  const start = { LSN: 1, FinishLSN: 2, SystemIdentifier: 7, StartTime: '2026-01-15T02:00:00Z', FinishTime: '2026-01-15T02:01:00Z' };
  for (const part of parts) await putBytes(store, `${under}/tar_partitions/${part}`, Buffer.alloc(10));
  await putBytes(store, `${under}/metadata.json`, Buffer.from('{}'));
  await putBytes(store, `${under}/files_metadata.json`, Buffer.from(JSON.stringify(files)));
  await putBytes(store, `${under}_backup_stop_sentinel.json`, Buffer.from(JSON.stringify({ ...start, ...sentinel })));
  return (await readBackup(store, prefix, (await listed(store, prefix)).backups.get(NAME)!)).missing;
}

const LOCAL = { TarFileSets: { 'part_001.tar.lz4': [], 'backup_label.tar.lz4': [] } };
const SPEC = { Spec: { base_prefix: '/data', tablespaces: ['5'], 5: { loc: '/fast', link: 'pg_tblspc/5' } } };

it.each<[string, string[], object, object, string[]]>([
  ['nothing, of the files', ['part_001.tar.lz4', 'backup_label.tar.lz4', 'pg_control.tar.lz4'], LOCAL, { CompressedSize: 29 }, []],
  ['a part that its files name', ['part_001.tar.lz4', 'pg_control.tar.lz4'], LOCAL, {}, ['backup_label.tar.lz4']],
  ['a part between two, over the connection', ['part_001.tar.lz4', 'part_003.tar.lz4', 'pg_control.tar.lz4'], {}, {}, ['part_002.tar']],
  ['every part, over the connection', ['pg_control.tar.lz4'], {}, {}, ['part_001.tar']],
  ['the last part, over the connection', ['part_001.tar.lz4', 'pg_control.tar.lz4'], {}, { CompressedSize: 30 }, ['10 bytes of its parts']],
  ['nothing, over the connection', ['part_001.tar.lz4', 'pg_control.tar.lz4'], { Files: {} }, { CompressedSize: 20, ...SPEC }, []],
  [
    'a tablespace that WAL-G passed over',
    ['part_001.tar.lz4', 'backup_label.tar.lz4', 'pg_control.tar.lz4'],
    { ...LOCAL, Files: { '/pg_tblspc': {}, '/pg_tblspc/4/nested/PG_18_1/5': {} } },
    SPEC,
    ['pg_tblspc/5'],
  ],
  [
    'nothing, with a tablespace',
    ['part_001.tar.lz4', 'backup_label.tar.lz4', 'pg_control.tar.lz4'],
    { ...LOCAL, Files: { '/pg_tblspc/5/PG_18_1': {} } },
    SPEC,
    [],
  ],
])('a backup lacks %s', async (_, parts, files, sentinel, lacks) => {
  expect(await missing(parts, files, sentinel)).toEqual(lacks);
});
