import { formatAge, formatDuration } from '../age.ts';
import type { LogState, Lsn, Manifest } from '../contracts.ts';
import type { LogLag, Rules, SourceFacts, StoreFacts, Why } from './types.ts';

/** What a store lets one come back to, and how that stands against the RPO. */
export interface Reach {
  at: Date;
  log?: LogLag;
  why: readonly Why[];
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

function withLog(state: LogState, newest: Manifest, source: SourceFacts | undefined, rules: Rules, now: Date): Reach {
  const end = endOf(state, newest, rules.distance);
  const lagBytes = behind(end, state.lineage, source, rules.distance);
  const stored = later(state.at, new Date(newest.recoveryPointAt));
  const at = lagBytes === 0 ? later(now, stored) : stored;
  const lagSeconds = Math.max(0, (now.getTime() - at.getTime()) / 1000);
  const tail = lagBytes === undefined ? '' : ` and ${lagBytes} bytes behind the source`;
  return {
    at,
    log: {
      lineage: state.lineage,
      at: state.at.toISOString(),
      end,
      lagSeconds,
      ...(lagBytes === undefined ? {} : { lagBytes }),
    },
    why: rpoWhy(at, `the newest log in it is of ${formatAge(at, now)}${tail}`, rules, now),
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
 * newest part. Without one it is the backup's. A store that gets no log while another one does is not judged by the RPO.
 * @param newest manifest of the newest good backup there
 */
export function reachOf(facts: StoreFacts, newest: Manifest, source: SourceFacts | undefined, rules: Rules, now: Date): Reach {
  const state = facts.log.find(({ lineage }) => lineage === newest.lineage);
  if (state) {
    const reach = withLog(state, newest, source, rules, now);
    return { ...reach, why: [...reach.why, ...strange(source, newest)] };
  }
  const at = new Date(newest.recoveryPointAt);
  if (rules.distance && rules.logged && facts.log.length === 0)
    return { at, why: [{ state: 'ok', text: 'it gets no log: only its whole backups can be restored from it' }] };
  const text = `${rules.distance ? 'there is no log of it, and ' : ''}the recovery point is of ${formatAge(at, now)}`;
  return { at, why: [...rpoWhy(at, text, rules, now), ...strange(source, newest)] };
}
