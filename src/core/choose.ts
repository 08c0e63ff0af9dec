import { formatAge } from './age.ts';
import type { Known, Want } from './contracts.ts';
import { BkpError } from './errors.ts';

const refusal = (want: Want): string | undefined => {
  if (want.lsn !== undefined) return '--target-lsn';
  if (want.xid !== undefined) return '--target-xid';
  return want.point === undefined ? undefined : '--target-name';
};

/**
 * The backup that a restore of a kind without a log takes: the one named, the newest, or the newest whose recovery point is not after the
 * wanted time. What counts as an anomaly is only taken by its name.
 * @param known whole backups, oldest first
 * @throws BkpError('usage' | 'notFound')
 */
export function chooseBackup(known: readonly Known[], want: Want, what: string, now: Date): Known {
  const cannot = refusal(want);
  if (cannot)
    throw new BkpError('usage', `${what} keeps no log, so ${cannot} says nothing`, { next: '--target-time, or --from-backup ID' });
  if (want.backup !== undefined && want.backup !== 'latest') {
    const named = known.find(({ manifest }) => manifest.id === want.backup);
    if (named) return named;
    throw new BkpError('notFound', `${what} has no backup ${want.backup}`, { next: 'bkp list' });
  }
  const good = known.filter(({ manifest }) => manifest.anomaly === undefined);
  const within = good.filter(({ manifest }) => want.time === undefined || new Date(manifest.recoveryPointAt) <= want.time);
  const newest = within.reduce<Known | undefined>(
    (best, each) => (best && best.manifest.recoveryPointAt >= each.manifest.recoveryPointAt ? best : each),
    undefined,
  );
  if (newest) return newest;
  const [first] = good;
  if (first === undefined) throw new BkpError('notFound', `${what} has no good backup`, { next: 'bkp list' });
  throw new BkpError('notFound', `${what} has no backup from before ${want.time?.toISOString()}`, {
    next: `the earliest is ${first.manifest.id}, of ${first.manifest.recoveryPointAt} (${formatAge(new Date(first.manifest.recoveryPointAt), now)})`,
  });
}
