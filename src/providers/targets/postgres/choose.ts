import { chainOf, finder } from '../../../core/chain.ts';
import type { Known, Manifest, RestoreRequest, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { parted, tellApart } from '../../../core/postgres/apart.ts';
import { formatLsn, parseLsn } from '../../../core/postgres/lsn.ts';
import { type Archive, type Base, baseForLsn, baseForTime, newestBase, onward } from '../../../core/postgres/plan.ts';
import { isWalg } from './base.ts';
import type { PostgresConfig } from './config.ts';

type Context = TargetContext<PostgresConfig>;
type Want = RestoreRequest['want'];

/** A backup as the planner needs it; none for one without WAL. */
export const baseOf = ({ manifest }: Known): Base[] =>
  manifest.wal
    ? [
        {
          id: manifest.id,
          endedAt: new Date(manifest.recoveryPointAt),
          timeline: manifest.wal.timeline,
          from: parseLsn(manifest.wal.from),
          to: parseLsn(manifest.wal.to),
          segmentBytes: manifest.wal.segmentBytes,
          ...(manifest.wal.hash === undefined ? {} : { hash: manifest.wal.hash }),
        },
      ]
    : [];

/** @returns recovery_target* of PostgreSQL for what was asked for; empty = to the end of the WAL */
export function targetOf(want: Want): Record<string, string> {
  if (want.time) return { recovery_target_time: want.exact ?? want.time.toISOString().replace('T', ' ').replace('Z', '+00') };
  if (want.lsn) return { recovery_target_lsn: want.lsn };
  if (want.xid) return { recovery_target_xid: want.xid };
  if (want.point) return { recovery_target_name: want.point };
  if (want.backup && !want.latest) return { recovery_target: 'immediate' };
  return {};
}

const oldest = (bases: readonly Base[]): Base => bases.reduce((a, b) => (a.endedAt < b.endedAt ? a : b));

function pick(want: Want, bases: readonly Base[]): Base | undefined {
  if (want.time) return baseForTime(bases, want.time);
  return want.lsn ? baseForLsn(bases, parseLsn(want.lsn)) : newestBase(bases);
}

/** What would be chosen by the times alone. Throws BkpError('refused' | 'notFound') naming where the window begins. */
export function choose(ctx: Context, want: Want, bases: readonly Base[]): Base {
  const who = `postgres/${ctx.name}`;
  if (bases.length === 0) {
    throw new BkpError(
      'notFound',
      `${who} has no backup${want.backup && want.backup !== 'latest' ? ` ${want.backup}` : ''} in ${ctx.stores.map(s => s.name).join(', ')}`,
      { next: `bkp list postgres ${ctx.name}` },
    );
  }
  const first = oldest(bases);
  const base = pick(want, bases);
  if (base) return base;
  if (want.time) {
    throw new BkpError(
      'refused',
      `${who} cannot be brought to ${want.time.toISOString()}: the window begins at ${first.endedAt.toISOString()}, when ${want.backup ? 'that' : 'the oldest'} backup (${first.id}) had ended`,
      {
        next: `the nearest reachable time is ${first.endedAt.toISOString()}: --from-backup ${first.id}`,
      },
    );
  }
  throw new BkpError(
    'refused',
    `${who} cannot be brought to LSN ${want.lsn}: the window begins at ${formatLsn(first.to)}, the end of backup ${first.id}`,
    { next: `--target-lsn ${formatLsn(first.to)} or later` },
  );
}

/** A base whose lineage is of another cluster than itself says two things at once, and is none of this target's. */
export const isOwn = ({ wal, lineage, identity }: Manifest): boolean =>
  wal !== undefined && lineage !== undefined && identity['systemIdentifier'] === lineage.split('-')[0];

/**
 * Those of which all that they build on is there, too. The others are told.
 * @throws BkpError('verifyFailed') when the one that was asked for is none of them
 */
export function founded(ctx: Context, want: Want, usable: readonly Known[], known: readonly Known[]): Known[] {
  const find = finder(known.map(({ manifest }) => manifest));
  return usable.filter(({ manifest }) => {
    const [gone] = isWalg(manifest) ? [] : chainOf(manifest, find).missing;
    if (!gone) return true;
    const text = `backup ${manifest.id} builds on backup ${gone}, which is in none of ${ctx.stores.map(({ name }) => name).join(', ')}`;
    if (want.backup === manifest.id) throw new BkpError('verifyFailed', text, { next: `bkp list postgres ${ctx.name}` });
    ctx.report.emit({ type: 'warning', text: `${text}: it is left out` });
    return false;
  });
}

/** What a backup builds on, oldest first. */
export function parentsIn({ manifest }: Known, known: readonly Known[]): Known[] {
  if (isWalg(manifest)) return [];
  const { members } = chainOf(manifest, finder(known.map(each => each.manifest)));
  return members.map(member => known.find(each => each.manifest === member)!);
}

export const namesBackup = ({ backup }: Want): boolean => backup !== undefined && backup !== 'latest';

/**
 * The base from which to go on. One that is asked for to its own end needs nothing of the archive, so it may be of whatever history.
 * @param first what would be chosen by the times alone
 * @throws BkpError('refused') where the WAL goes on from none
 */
export function suited(
  ctx: Context,
  want: Want,
  { first, bases, lineage }: { first: Base; bases: readonly Base[]; lineage: string },
  archive: Archive,
): Base {
  const { own, apart } = parted(bases, archive.hashes);
  const strange = apart.find(({ id }) => id === first.id);
  const tell = (what: string): void => {
    if (strange) ctx.report.emit({ type: 'warning', text: `${tellApart(strange, lineage)}: it is ${what}` });
  };
  if (namesBackup(want) && targetOf(want)['recovery_target'] === 'immediate') {
    tell('restored to its own end');
    return first;
  }
  // Best is what leads to the newest timeline; else the first choice, although its timeline was left; else whatever reaches the target.
  const base = pick(want, onward(own, archive)) ?? own.find(({ id }) => id === first.id) ?? pick(want, own);
  if (base) {
    tell('left out');
    return base;
  }
  throw new BkpError('refused', `postgres/${ctx.name}: ${tellApart(strange ?? first, lineage)}: nothing there goes on from it`, {
    next: [`--from-backup ${first.id} brings back what that backup has inside`, `bkp list postgres ${ctx.name} --window`],
  });
}
