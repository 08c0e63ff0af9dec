import type { Id, Want } from './contracts.ts';

/** What one store lets a target be brought back to. Instants are ISO 8601 UTC. */
export interface Reach {
  store: string;
  /** Backups that are whole there and no anomaly: each brings back its recovery point. */
  backups: readonly { id: Id; at: string }[];
  /** Stretches within which every instant can be reached. `live` = it is the one that grows, and a time alone leads into it. */
  spans: readonly { from: string; to: string; live: boolean; backups: readonly { id: Id; at: string }[] }[];
}

/** The state that one target can be brought back to. */
export interface Point {
  /** ISO 8601 UTC. */
  at: string;
  store: string;
  by: 'log' | 'backup';
  /** What a restore has to ask for. */
  want: Want;
}

const ms = (text: string): number => new Date(text).getTime();

/** The newest of some backups that had ended by an instant. */
const before = (backups: readonly { id: Id; at: string }[], limit: number): { id: Id; at: string } | undefined =>
  backups
    .filter(({ at }) => ms(at) <= limit)
    .reduce<{ id: Id; at: string } | undefined>((a, b) => (a && ms(a.at) >= ms(b.at) ? a : b), undefined);

/** Within one stretch: its end, or the wanted instant itself. What is not live is chosen by a backup of it. */
function inSpan(store: string, span: Reach['spans'][number], time: Date | undefined): Point | undefined {
  const limit = time?.getTime() ?? Number.POSITIVE_INFINITY;
  if (limit < ms(span.from)) return undefined;
  const whole = limit >= ms(span.to);
  const target: Want = whole ? { latest: true } : { time: time! };
  const at = whole ? span.to : time!.toISOString();
  if (span.live) return { at, store, by: 'log', want: target };
  const base = before(span.backups, ms(at));
  return base && { at, store, by: 'log', want: { backup: base.id, ...target } };
}

function inBackups({ store, backups }: Reach, time: Date | undefined): Point | undefined {
  const newest = before(backups, time?.getTime() ?? Number.POSITIVE_INFINITY);
  return newest && { at: newest.at, store, by: 'backup', want: { backup: newest.id } };
}

/**
 * The newest state at or before an instant, out of one store.
 * @param time absent = the newest that there is
 */
export function pointIn(reach: Reach, time?: Date): Point | undefined {
  const points = [...reach.spans.map(span => inSpan(reach.store, span, time)), inBackups(reach, time)];
  return points.reduce<Point | undefined>((best, point) => (point && (!best || ms(point.at) > ms(best.at)) ? point : best), undefined);
}

/** The newest state at or before an instant, out of whichever store has it; the first named wins where several do. */
export const bestPoint = (reaches: readonly Reach[], time?: Date): Point | undefined =>
  reaches
    .map(reach => pointIn(reach, time))
    .reduce<Point | undefined>((best, point) => (point && (!best || ms(point.at) > ms(best.at)) ? point : best), undefined);

/** How far apart the states of several targets are, ms; 0 for one and for none. */
export const skewOf = (points: readonly { at: string }[]): number =>
  points.length === 0 ? 0 : Math.max(...points.map(({ at }) => ms(at))) - Math.min(...points.map(({ at }) => ms(at)));
