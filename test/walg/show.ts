import { wants } from './args.ts';
import { type Detail, details } from './backup.ts';
import { historyOf, segmentSet, segmentsOf, walNames } from './history.ts';
import { table } from './list.ts';
import { log } from './log.ts';
import type { Run } from './run.ts';
import { lsnText, type Segment, segmentAt, segmentName } from './segment.ts';

/** A timeline as `wal-show --detailed-json` prints it, in this order. */
interface Timeline {
  id: number;
  parent_id: number;
  switch_point_lsn: number;
  start_segment: string;
  end_segment: string;
  segments_count: number;
  missing_segments: string[];
  backups?: Detail[];
  segment_range_size: number;
  status: 'OK' | 'LOST_SEGMENTS';
}

/** From the last to the first, as WAL-G walks. */
function missing(segments: readonly Segment[], first: number, last: number): string[] {
  const has = segmentSet(segments);
  const all = Array.from({ length: last - first }, (_, at) => ({ timeline: segments[0]!.timeline, number: last - 1 - at }));
  return all.filter(segment => !has(segment)).map(segmentName);
}

function inRange(backups: readonly Detail[], timeline: number, first: string, last: string): Detail[] {
  return backups.filter(({ wal_file_name, start_lsn, finish_lsn }) => {
    const own = Number.parseInt(wal_file_name.slice(0, 8), 16);
    return own === timeline && segmentName(segmentAt(own, start_lsn)) >= first && segmentName(segmentAt(own, finish_lsn)) <= last;
  });
}

async function timelineOf({ folder, codec, args }: Run, segments: readonly Segment[], backups: readonly Detail[]): Promise<Timeline> {
  const id = segments[0]!.timeline;
  const numbers = segments.map(({ number }) => number);
  const [first, last] = [Math.min(...numbers), Math.max(...numbers)];
  const parent = (await historyOf(folder, codec, id)).at(-1);
  const [start_segment, end_segment] = [first, last].map(number => segmentName({ timeline: id, number })) as [string, string];
  const missing_segments = missing(segments, first, last);
  const inside = args.has('without-backups') ? [] : inRange(backups, id, start_segment, end_segment);
  return {
    id,
    parent_id: parent?.timeline ?? 0,
    switch_point_lsn: parent?.lsn ?? 0,
    start_segment,
    end_segment,
    segments_count: segments.length,
    missing_segments,
    ...(inside.length > 0 ? { backups: inside } : {}),
    segment_range_size: last - first + 1,
    status: missing_segments.length > 0 ? 'LOST_SEGMENTS' : 'OK',
  };
}

const rowOf = (one: Timeline): Record<string, string> => ({
  TLI: String(one.id),
  'PARENT TLI': String(one.parent_id),
  'SWITCHPOINT LSN': lsnText(one.switch_point_lsn),
  'START SEGMENT': one.start_segment,
  'END SEGMENT': one.end_segment,
  'SEGMENT RANGE': String(one.segment_range_size),
  'SEGMENTS COUNT': String(one.segments_count),
  STATUS: one.status,
  'BACKUPS COUNT': String(one.backups?.length ?? 0),
});

/** `wal-show [--detailed-json] [--without-backups]` */
export async function walShow(run: Run): Promise<void> {
  wants(run.args, 0);
  const all = segmentsOf(await walNames(run.folder));
  const ids = [...new Set(all.map(({ timeline }) => timeline))].sort((a, b) => a - b);
  const backups = run.args.has('without-backups') ? [] : await details(run.folder);
  if (backups.length === 0 && !run.args.has('without-backups')) log.info('No backups found in storage.');
  const timelines: Timeline[] = [];
  for (const id of ids)
    timelines.push(
      await timelineOf(
        run,
        all.filter(({ timeline }) => timeline === id),
        backups,
      ),
    );
  process.stdout.write(run.args.has('detailed-json') ? JSON.stringify(timelines) : table(timelines.map(rowOf)));
}
