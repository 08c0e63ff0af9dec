import { createHash, randomBytes } from 'node:crypto';
import type { Keys, Manifest } from '../../src/core/contracts.ts';
import { makeId } from '../../src/core/id.ts';
import { encodeManifest } from '../../src/core/manifest.ts';
import { formatLsn, segmentName, segmentStart } from '../../src/core/postgres/lsn.ts';
import { backupPrefix, manifestKey } from '../../src/ops/catalog.ts';

export const DAY_MS = 86_400_000;
export const LINEAGE = '7400000000000000001-1';

/** Where bkp keeps what a config of the rig names `app`. */
export const BASE = 'bkp/production/postgres/app';

const SEGMENT = 16 * 1024 * 1024;
/** A server that failed over this often: one folder with a million files is read anew by the S3 server for each page of a listing. */
const PER_TIMELINE = 1000;
const PIECE = Buffer.from('a small piece');

export interface Laid {
  key: string;
  bytes: Buffer;
  modified: Date;
}

const timelineOf = (segment: number): number => 1 + Math.floor(segment / PER_TIMELINE);
const sha256 = createHash('sha256').update(PIECE).digest('hex');

function manifestOf(id: string, at: Date, segment: number): Manifest {
  const key = `${backupPrefix(BASE, id)}/base.tar.0`;
  const size = { bytes: PIECE.length, sha256 };
  const from = segmentStart(segment, SEGMENT);
  return {
    version: 1,
    id,
    env: 'production',
    kind: 'postgres',
    name: 'app',
    engine: 'native',
    identity: { systemIdentifier: LINEAGE.split('-')[0]! },
    lineage: LINEAGE,
    startedAt: at.toISOString(),
    recoveryPointAt: new Date(at.getTime() + 60_000).toISOString(),
    finishedAt: new Date(at.getTime() + 61_000).toISOString(),
    line: ['zstd'],
    recipients: [],
    pieces: [{ name: 'base.tar', ...size, stored: size, blockBytes: SEGMENT, objects: [{ key, bytes: PIECE.length, blocks: [sha256] }] }],
    needs: [{ log: LINEAGE, from: formatLsn(from), to: formatLsn(from + 0x100n) }],
    wal: { timeline: timelineOf(segment), from: formatLsn(from), to: formatLsn(from + 0x100n), segmentBytes: SEGMENT },
    baseline: { databases: { postgres: { schemas: { public: { tables: 40, rows: 1_000_000 } } } } },
    versions: { tool: 'bkp 0', server: '15.18' },
    notCovered: [],
    warnings: [],
  };
}

/** A whole backup: its piece and its signed manifest. @param segment number of the WAL segment in which it began */
export function backup(keys: Keys, at: Date, segment = 0): Laid[] {
  const manifest = manifestOf(makeId(at, randomBytes(3)), at, segment);
  return [
    { key: `${backupPrefix(BASE, manifest.id)}/base.tar.0`, bytes: PIECE, modified: at },
    { key: manifestKey(BASE, manifest.id), bytes: encodeManifest(manifest, keys.sign), modified: at },
  ];
}

/** A small object that is named as a WAL segment is. */
export function wal(segment: number, modified: Date): Laid {
  const name = segmentName({ timeline: timelineOf(segment), number: segment }, SEGMENT);
  const key = `${BASE}/wal/${LINEAGE}/${name.slice(0, 8)}/${name}-${segment.toString(16).padStart(32, '0')}.zst`;
  return { key, bytes: PIECE.subarray(0, 1), modified };
}
