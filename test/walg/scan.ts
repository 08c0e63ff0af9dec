import type { Segment } from './segment.ts';

export type Status = 'FOUND' | 'MISSING_DELAYED' | 'MISSING_UPLOADING' | 'MISSING_LOST';

export interface Scanned extends Segment {
  status: Status;
}

/** What a scan walks on. */
export interface Ground {
  has(segment: Segment): boolean;
  /** Where timelines were switched: number of a segment → the timeline before it. */
  switches: ReadonlyMap<number, number>;
  /** The scan ends at this number, which it does not look past. */
  stop: number;
}

function before({ timeline, number }: Segment, { has, switches }: Ground): Segment {
  const parent = switches.get(number);
  const next = { timeline, number: number - 1 };
  return parent === undefined || has(next) ? next : { timeline: parent, number: number - 1 };
}

/**
 * Walks back from the segment that the server writes to now, which is not looked at itself, in WAL-G's three stretches: up to `delayed`
 * segments until one is found, then `uploading` ones that may still be on their way, then all others, where a missing one is lost.
 */
export function scan(from: Segment, ground: Ground, delayed: number, uploading: number): Scanned[] {
  const scanned: Scanned[] = [];
  let at = from;
  const stretch = (limit: number, missing: Status, untilFound: boolean): void => {
    for (let step = 0; step < limit && at.number > ground.stop; step += 1) {
      at = before(at, ground);
      const status = ground.has(at) ? 'FOUND' : missing;
      scanned.push({ ...at, status });
      if (untilFound && status === 'FOUND') return;
    }
  };
  stretch(delayed, 'MISSING_DELAYED', true);
  stretch(uploading, 'MISSING_UPLOADING', false);
  stretch(Number.POSITIVE_INFINITY, 'MISSING_LOST', false);
  return scanned.sort((a, b) => a.number - b.number);
}
