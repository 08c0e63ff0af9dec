import { makeId } from '../../src/core/id.ts';
import { type Candidate, decide } from '../../src/core/retention.ts';
import { median, round } from '../measure.ts';
import { LINEAGE } from './backups.ts';

const BACKUPS = 100_000;
const ROUNDS = 5;
const HOUR_MS = 3_600_000;

/** Decides over hourly backups of eleven years. @returns the median in milliseconds, how many stay, and this process's largest memory in MiB */
export function inMemory() {
  const now = new Date();
  const candidates = Array.from({ length: BACKUPS }, (_, n): Candidate => {
    const startedAt = new Date(now.getTime() - (n + 1) * HOUR_MS);
    const id = makeId(startedAt, Buffer.from([n, n >> 8, n >> 16]));
    return { id, startedAt, endedAt: startedAt, state: 'whole', anomalous: false, lineage: LINEAGE, needs: [], guards: [] };
  });
  const policy = { daily: 30, weekly: 12, monthly: 12, yearly: 5 };
  const times: number[] = [];
  let kept = 0;
  for (let n = 0; n < ROUNDS; n += 1) {
    const from = performance.now();
    const decisions = decide(candidates, policy, { now, zone: 'Europe/Berlin', weekStart: 'sunday', logUntil: new Map() });
    times.push(performance.now() - from);
    kept = decisions.filter(({ keep }) => keep).length;
  }
  return { backups: BACKUPS, rounds: ROUNDS, ms: round(median(times)), kept, rss_mib: Math.round(process.resourceUsage().maxRSS / 1024) };
}
