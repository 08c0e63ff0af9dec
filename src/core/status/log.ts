import { formatAge, formatDuration } from '../age.ts';
import type { LogMark, LogState, Lsn, Manifest } from '../contracts.ts';
import type { LogLag, Rules, SourceFacts, StoreFacts, Why } from './types.ts';

/** What a store lets one come back to, and how that stands against the RPO. */
export interface Reach {
  at: Date;
  log?: LogLag;
  why: readonly Why[];
}

/** What a store lacks behind its newest backup: up to where, and until when, all is there. */
interface Gap {
  lacks: string;
  from: Lsn;
  at: Date;
}

const later = (a: Date, b: Date): Date => (a > b ? a : b);

/**
 * Bytes that the source is ahead of a store; 0 = all of it is there. Unknown where the source does not answer, or is of
 * another lineage than the backup: positions of two histories cannot be compared.
 */
function behind(end: Lsn, lineage: string, source: SourceFacts | undefined, distance: Rules['distance']): number | undefined {
  if (!distance || source?.position === undefined || source.lineage !== lineage) return undefined;
  return distance(end, source.position);
}

const rpoWhy = (at: Date, text: string, rules: Rules, now: Date): Why[] =>
  now.getTime() - at.getTime() > rules.rpoMs
    ? [{ state: 'late', text: `${text} (${at.toISOString()}), and the RPO is ${formatDuration(rules.rpoMs)}` }]
    : [];

/** A backup brings its own log up to its end, so a store whose log ends before that is not behind it. */
const endOf = ({ end }: LogState, { wal }: Manifest, distance: Rules['distance']): Lsn =>
  wal && distance && distance(end, wal.to) > 0 ? wal.to : end;

const earlier = (a: Date, b: Date): Date => (a < b ? a : b);

/**
 * A store gets old log late when it catches up, so when it got its newest part tells nothing of how old that is; what the source is on record to
 * have committed does. Of an idle source nothing is missed; of a stalled log something is.
 * @returns until when all is there by those records, and the first that is not; nothing where none is missed
 */
function missedBy(end: Lsn, marks: readonly LogMark[], distance: Rules['distance']): { upTo: Date; missed: Date } | undefined {
  if (!distance) return undefined;
  const isIn = ({ position }: LogMark): boolean => distance(position, end) > 0;
  const missed = marks.find(mark => !isIn(mark));
  return missed && { upTo: marks.findLast(isIn)?.at ?? missed.at, missed: missed.at };
}

/** The first gap that a restore of the newest backup runs into: it has the whole segment in which it ends inside. */
function gapBehind({ gaps, begins }: LogState, { wal, recoveryPointAt }: Manifest, distance: Rules['distance']): Gap | undefined {
  if (!wal || !distance) return undefined;
  const isFar = (until: Lsn): boolean => distance(wal.to, until) >= wal.segmentBytes;
  if (begins !== undefined && isFar(begins))
    return { lacks: `the log from ${wal.to} to ${begins}`, from: wal.to, at: new Date(recoveryPointAt) };
  const gap = gaps?.find(({ until }) => isFar(until));
  return gap && { lacks: gap.first === gap.last ? gap.first : `${gap.first} to ${gap.last}`, from: gap.from, at: gap.at };
}

/** What lies behind a gap is of no use until there is a backup behind it. */
function cut(state: LogState, newest: Manifest, { distance }: Rules): { state: LogState; lacks: string } {
  const gap = gapBehind(state, newest, distance);
  if (!gap) return { state, lacks: '' };
  return { state: { ...state, at: gap.at, end: gap.from }, lacks: `it lacks ${gap.lacks}, behind which only a new backup goes on; ` };
}

function withLog(whole: LogState, newest: Manifest, source: SourceFacts | undefined, rules: Rules, now: Date): Reach {
  const { state, lacks } = cut(whole, newest, rules);
  const end = endOf(state, newest, rules.distance);
  const lagBytes = behind(end, state.lineage, source, rules.distance);
  const gap = lagBytes === 0 ? undefined : missedBy(end, rules.marks?.of.get(state.lineage) ?? [], rules.distance);
  const stored = later(gap ? earlier(gap.upTo, state.at) : state.at, new Date(newest.recoveryPointAt));
  const at = lagBytes === 0 ? later(now, stored) : stored;
  const lagSeconds = Math.max(0, (now.getTime() - at.getTime()) / 1000);
  const tail = lagBytes === undefined ? '' : ` and ${lagBytes} bytes behind the source`;
  const known = gap ? `; what the source had committed by ${gap.missed.toISOString()} is not in it` : '';
  return {
    at,
    log: {
      lineage: state.lineage,
      at: state.at.toISOString(),
      end,
      lagSeconds,
      ...(lagBytes === undefined ? {} : { lagBytes }),
      ...(gap ? { missedAt: gap.missed.toISOString() } : {}),
    },
    why: [
      ...rpoWhy(at, `${lacks}the newest log in it${lacks && ' before that'} is of ${formatAge(at, now)}${tail}${known}`, rules, now),
      ...(rules.marks?.error === undefined ? [] : [{ state: 'unknown' as const, text: rules.marks.error }]),
    ],
  };
}

/** A source that began a new history keeps nothing of it until a backup was taken in it. */
const strange = (source: SourceFacts | undefined, newest: Manifest): Why[] =>
  source?.lineage && newest.lineage && source.lineage !== newest.lineage
    ? [{ state: 'ok', text: `the source is of lineage ${source.lineage}, and the newest good backup is of ${newest.lineage}` }]
    : [];

/**
 * The recovery point of one store and its verdict.
 *
 * With a log it is now, while the store holds all that the reachable source has written; else the instant at which the store got its
 * newest part, or, where the source is on record to have committed more, that of the last record that is in it. Without one it is the backup's. A store that gets no log by the config is
 * not judged by the RPO.
 * @param newest manifest of the newest good backup there
 */
export function reachOf(facts: StoreFacts, newest: Manifest, source: SourceFacts | undefined, rules: Rules, now: Date): Reach {
  const state = facts.log.find(({ lineage }) => lineage === newest.lineage);
  if (state) {
    const reach = withLog(state, newest, source, rules, now);
    return { ...reach, why: [...reach.why, ...strange(source, newest)] };
  }
  const at = new Date(newest.recoveryPointAt);
  if (facts.unlogged && facts.log.length === 0)
    return { at, why: [{ state: 'ok', text: 'it gets no log: only its whole backups can be restored from it' }] };
  const text = `${rules.distance ? 'there is no log of it, and ' : ''}the recovery point is of ${formatAge(at, now)}`;
  return { at, why: [...rpoWhy(at, text, rules, now), ...strange(source, newest)] };
}
