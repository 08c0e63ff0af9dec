import { type Stretch, timelineOf } from './history.ts';
import { parseSegment, type Segment, segmentAt, segmentStart } from './lsn.ts';

/** Whether a segment is the one that recovery along `path` reads: that with the switch inside is read on the new timeline. */
export function isOnPath(name: string, path: readonly Stretch[], segmentBytes: number): boolean {
  const segment = parseSegment(name, segmentBytes);
  return segment !== undefined && timelineOf(path, segment.number, segmentBytes) === segment.timeline;
}

/**
 * The segment with which an empty spool goes on, so that nothing is missing between what is stored and what comes: the first on the server's
 * path that no store has, from its slot on; never one behind the last stored one. A slot that was made after a failover begins somewhere, and
 * what lies before it has to come too, or be seen to be gone. Pure.
 * @param path the way to the server's timeline, by its own history
 * @param stored names of the lineage's whole segments
 * @param restart where the slot begins
 */
export function resumeAt(path: readonly Stretch[], stored: Iterable<string>, restart: bigint, segmentBytes: number): Segment {
  const onPath = [...stored].filter(name => isOnPath(name, path, segmentBytes));
  const numbers = new Set(onPath.map(name => parseSegment(name, segmentBytes)!.number));
  let last = -1;
  for (const number of numbers) last = Math.max(last, number);
  let number = numbers.size === 0 ? segmentAt(restart, segmentBytes) : Math.min(segmentAt(restart, segmentBytes), last + 1);
  while (numbers.has(number)) number += 1;
  return { timeline: timelineOf(path, number, segmentBytes), number };
}

/**
 * Whether a server of history `path` cannot send what follows a file of the spool: it left that timeline before, or was never on it. What
 * counts is where the receiver would begin: behind a whole segment, or at the start of an open one. Beyond the switch the server refuses, and
 * exactly at the switch pg_receivewal takes the answer, which is the next timeline without any WAL, for an end, again and again (15 and 18).
 * @param name a segment, or its `.partial`; anything else is never astray
 */
export function isAstray(name: string, path: readonly Stretch[], segmentBytes: number): boolean {
  const open = name.endsWith('.partial');
  const segment = parseSegment(open ? name.slice(0, -'.partial'.length) : name, segmentBytes);
  if (!segment) return false;
  const own = path.find(({ timeline }) => timeline === segment.timeline);
  if (!own) return true;
  return own.until !== undefined && segmentStart(segment.number + (open ? 0 : 1), segmentBytes) >= own.until;
}

/** The highest timeline that the names of segments, histories and `.partial` files tell of; 0 without any. */
export function newestTimeline(names: Iterable<string>): number {
  let newest = 0;
  for (const name of names) if (/^[0-9A-F]{8}/.test(name)) newest = Math.max(newest, Number.parseInt(name.slice(0, 8), 16));
  return newest;
}
