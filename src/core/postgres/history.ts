import { parseLsn } from './lsn.ts';

/** One ancestor of a timeline: it was left at `until` (exclusive). */
export interface Ancestor {
  timeline: number;
  until: bigint;
}

/** A stretch of history: on `timeline` from `from` (inclusive) to `until` (exclusive, absent = still open). */
export interface Stretch {
  timeline: number;
  from: bigint;
  until?: bigint;
}

/** Reads a `.history` file: lines of parent timeline, switch LSN, reason; comments and blank lines are skipped. */
export function parseHistory(text: string): Ancestor[] {
  return text
    .split('\n')
    .map(line => /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line))
    .filter(match => match !== null)
    .map(match => ({ timeline: Number(match[1]), until: parseLsn(match[2]!) }));
}

/** The way to `timeline` from its first ancestor, oldest first. A timeline without a history file is its own beginning. */
export function pathTo(timeline: number, histories: ReadonlyMap<number, readonly Ancestor[]>): Stretch[] {
  const path: Stretch[] = [];
  let from = 0n;
  for (const ancestor of histories.get(timeline) ?? []) {
    path.push({ timeline: ancestor.timeline, from, until: ancestor.until });
    from = ancestor.until;
  }
  return [...path, { timeline, from }];
}

/** The timeline on which PostgreSQL reads segment `number` along `path`: the newest whose beginning lies at or before it. */
export const timelineOf = (path: readonly Stretch[], number: number, segmentBytes: number): number =>
  path.findLast(stretch => stretch.from / BigInt(segmentBytes) <= BigInt(number))!.timeline;
