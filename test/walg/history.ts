import { WAL } from './backup.ts';
import { type Codec, gathered, readArchive } from './codec.ts';
import type { Folder } from './folder.ts';
import { parseLsn, parseSegment, type Segment, segmentName, withoutExtension } from './segment.ts';

/** A line of a history file: that timeline ended at that LSN. */
export interface Switch {
  timeline: number;
  lsn: number;
}

/** Lines of a timeline's archived history file, the oldest first; none where there is no such file. */
export async function historyOf(folder: Folder, codec: Codec, timeline: number): Promise<Switch[]> {
  const name = `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
  const plain = await readArchive(folder, codec, WAL + name);
  if (!plain) return [];
  const lines = (await gathered(plain)).toString('utf8').split('\n');
  return lines
    .map(line => /^(\d+)\t(.+)\t(.+)$/.exec(line))
    .filter(found => found !== null)
    .map(([, id, lsn]) => ({ timeline: Number(id), lsn: parseLsn(lsn!) }));
}

/** Names right below wal_005/, without that. */
export const walNames = async (folder: Folder): Promise<string[]> =>
  (await folder.list(WAL)).map(({ name }) => name.slice(WAL.length)).filter(name => !name.includes('/'));

/** Segments among archived files: names → segments. */
export const segmentsOf = (names: readonly string[]): Segment[] =>
  [...new Set(names.map(withoutExtension))].map(parseSegment).filter(segment => segment !== undefined);

/** A set of segments that knows what is in it. */
export function segmentSet(segments: readonly Segment[]): (segment: Segment) => boolean {
  const names = new Set(segments.map(segmentName));
  return segment => names.has(segmentName(segment));
}
