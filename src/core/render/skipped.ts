import { Cron } from 'croner';
import { offsetAt } from '../time.ts';
import { ANCHOR, plainFields, readCron, shortestIntervalMs } from './cron.ts';
import type { Job } from './jobs.ts';

const YEAR_MS = 366 * 86_400_000;
/** What runs more often misses little by one run. */
const OFTEN_MS = 6 * 3_600_000;

/** Whether bkp expects a run of it at another time of day than the schedule says: where clocks skip that time, it comes as they have skipped it. */
function isSkipped(schedule: string, zone: string): boolean {
  if (shortestIntervalMs(schedule) < OFTEN_MS) return false;
  const { hour, minute } = readCron(schedule);
  const cron = new Cron(plainFields(schedule).join(' '), { timezone: zone });
  for (let at = cron.nextRun(ANCHOR); at && at.getTime() < ANCHOR.getTime() + YEAR_MS; at = cron.nextRun(at)) {
    const wall = new Date(at.getTime() + offsetAt(zone, at.getTime()));
    if (!hour.values.includes(wall.getUTCHours()) || !minute.values.includes(wall.getUTCMinutes())) return true;
  }
  return false;
}

const nameOf = ({ verb, kind, name }: Job): string => `${verb} ${kind}${name ? `/${name}` : ''}`;

/**
 * What has to be known of jobs whose time of day clocks skip once a year: neither Kubernetes nor systemd starts them then (systemd 252 was
 * asked; robfig/cron, "Time zones").
 * @param zone IANA name in which schedules are read
 * @returns a sentence for each such schedule
 */
export function skippedRuns(jobs: readonly Job[], zone: string): string[] {
  const schedules = [...new Set(jobs.flatMap(({ schedule }) => schedule ?? []))].filter(schedule => isSkipped(schedule, zone));
  return schedules.map(schedule => {
    const names = jobs.filter(job => job.schedule === schedule).map(nameOf);
    return `${names.join(', ')}: clocks of ${zone} skip the time of "${schedule}" once a year; no run is started then, and \`bkp status\` calls it late: another hour, or \`timezone: UTC\``;
  });
}
