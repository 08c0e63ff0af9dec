import { BkpError } from '../../../../core/errors.ts';
import { parseSegment, segmentStart } from '../../../../core/postgres/lsn.ts';

/** The long header of a segment's first page (access/xlog_internal.h): bytes 8–15 address, 24–31 system identifier, 32–35 segment size. */
const HEADER = 40;

const isSegmentSize = (bytes: number): boolean => bytes >= 1024 * 1024 && bytes <= 1024 ** 3 && (bytes & (bytes - 1)) === 0;

/**
 * Holds an archived file against its name: a segment is whole, of this cluster, and begins where its name says. Other files pass.
 * @param lineage its system identifier stands before the `-`
 * @throws BkpError('verifyFailed')
 */
export function checkSegment(plain: Buffer, name: string, lineage: string, what: string): void {
  if (!/^[0-9A-F]{24}$/.test(name)) return;
  const fault = faultOf(plain, name, lineage.split('-')[0]!);
  if (fault) throw new BkpError('verifyFailed', `${what} is no such segment: ${fault}`);
}

function faultOf(plain: Buffer, name: string, systemIdentifier: string): string | undefined {
  if (!isSegmentSize(plain.length)) return `it has ${plain.length} bytes`;
  const head = plain.subarray(0, HEADER);
  const identifier = head.readBigUInt64LE(24).toString();
  if (identifier !== systemIdentifier) return `it is of cluster ${identifier}, and the lineage is of ${systemIdentifier}`;
  if (head.readUInt32LE(32) !== plain.length) return `it says that it has ${head.readUInt32LE(32)} bytes, and has ${plain.length}`;
  const segment = parseSegment(name, plain.length);
  const begins = head.readBigUInt64LE(8);
  return segment && begins === segmentStart(segment.number, plain.length) ? undefined : 'its first page has another position';
}
