import type { Known, RestoreRequest, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { knownTo } from '../../../core/postgres/chunks.ts';
import { formatLsn, parseLsn, parseSegment, segmentStart } from '../../../core/postgres/lsn.ts';
import { type Base, type Reach, reachOf } from '../../../core/postgres/plan.ts';
import { archiveOf, type Holdings, holdingsOf, readFirstWhole } from './archive.ts';
import { baseOf, choose, founded, isOwn, namesBackup, parentsIn, suited, targetOf } from './choose.ts';
import { readOpen } from './chunks.ts';
import { type Commit, lastCommit } from './commits.ts';
import type { PostgresConfig } from './config.ts';
import { knownLineages } from './lineage.ts';

type Context = TargetContext<PostgresConfig>;

/** What a restore will do, decided before anything changes. */
export interface RestorePlan {
  known: Known;
  lineage: string;
  reach: Reach;
  held: Holdings;
  /** recovery_target* of PostgreSQL; empty = to the end of the WAL. */
  target: Readonly<Record<string, string>>;
  /** Newest commit within reach; looked up only when a time was asked for. */
  last?: Commit;
  /** Ids of the bases before the chosen one, newest first, three at most. */
  older: readonly string[];
  /** What it builds on, oldest first; empty for a full one, and for WAL-G, which knows by itself. */
  parents: readonly Known[];
}

/**
 * The plain bytes of a file that a plan may need: a whole copy, or its chunks up to where the plan ends, padded with zeros. Of a segment
 * that the base has more of inside, the chunks are not read.
 * @returns undefined when no store has it
 */
export async function readPlanned(
  ctx: Context,
  { lineage, reach, held }: Pick<RestorePlan, 'lineage' | 'reach' | 'held'>,
  name: string,
): Promise<Buffer | undefined> {
  const copies = held.copies.get(name);
  if (copies) return readFirstWhole(ctx, lineage, copies);
  const chunks = held.chunks.get(name);
  if (!chunks || !reach.segments.includes(name)) return undefined;
  const size = reach.base.segmentBytes;
  const start = segmentStart(parseSegment(name, size)!.number, size);
  const end = Math.min(size, Number(reach.end - start));
  if (knownTo(chunks) < end) return undefined;
  try {
    return await readOpen(ctx, lineage, chunks, end, size);
  } catch (error) {
    if (!(error instanceof BkpError && error.exit === 'notFound')) throw error;
    // The stream merged the segment, or joined its chunks, since the stores were listed.
    const fresh = await holdingsOf(ctx, lineage, name);
    const merged = fresh.copies.get(name);
    return merged ? readFirstWhole(ctx, lineage, merged) : readOpen(ctx, lineage, fresh.chunks.get(name) ?? chunks, end, size);
  }
}

/** An instant in microseconds as sortable text. */
const micros = (text: string): string => {
  const [, day, time, fraction = ''] = /^(\S{10})[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?/.exec(text)!;
  return `${day} ${time}.${fraction.slice(0, 6).padEnd(6, '0')}`;
};

const wanted = (want: RestoreRequest['want']): string => micros(want.exact ?? want.time!.toISOString());

function refuseBehind(ctx: Context, want: RestoreRequest['want'], plan: RestorePlan): void {
  const { reach } = plan;
  const hole = reach.hole ? `; WAL ${reach.hole} is missing in every store although later WAL is there` : '';
  if (want.lsn && parseLsn(want.lsn) > reach.end) {
    throw new BkpError(
      'refused',
      `postgres/${ctx.name} cannot be brought to LSN ${want.lsn}: the WAL in the stores ends at ${formatLsn(reach.end)}${hole}`,
      { next: `--target-lsn ${formatLsn(reach.end)} or earlier, or --latest` },
    );
  }
  if (want.time && plan.last && wanted(want) > micros(plan.last.text)) {
    throw new BkpError(
      'refused',
      `postgres/${ctx.name} cannot be brought to ${want.time.toISOString()}: the last commit within reach is of ${plan.last.text}${hole}`,
      {
        next: [
          `the window is ${reach.base.endedAt.toISOString()} to ${plan.last.at.toISOString()} on top of backup ${reach.base.id}`,
          '--latest brings back everything up to that commit',
        ],
      },
    );
  }
  if (!want.time && Object.keys(plan.target).length === 0 && reach.hole) {
    throw new BkpError(
      'refused',
      `postgres/${ctx.name}: WAL ${reach.hole} is missing in every store although later WAL is there: "latest" would end at the hole`,
      {
        next: [
          `--target-lsn ${formatLsn(reach.end)} brings back what is before the hole`,
          'a newer backup, taken after the hole, reaches further: bkp list postgres',
        ],
      },
    );
  }
}

/** A cluster that went on after a restore in place and was lost before its next backup: "the latest" would be a state that was left before. */
async function tellUnfounded(ctx: Context, lineage: string, base: Base, known: readonly Known[]): Promise<void> {
  const records = await knownLineages(ctx).catch(error => {
    ctx.signal.throwIfAborted();
    ctx.report.emit({ type: 'warning', text: `whether a newer lineage was begun is not known: ${sentence(error)}` });
    return new Map<string, never>();
  });
  for (const each of records.values()) {
    const isLater = each.systemIdentifier === lineage.split('-')[0] && new Date(each.createdAt) > base.endedAt;
    if (!isLater || known.some(({ manifest }) => manifest.lineage === each.lineage)) continue;
    const origin = each.parent ? `, restored from ${each.parent.lineage} at LSN ${each.parent.lsn},` : '';
    const text = `lineage ${each.lineage}${origin} was begun ${each.createdAt} and has no backup: nothing that was written in it comes back`;
    ctx.report.emit({ type: 'warning', text });
  }
}

/** Decides which backup and which WAL bring the cluster to what was asked for. Throws BkpError('refused' | 'notFound') naming the window. */
export async function planRestore(ctx: Context, { want }: Pick<RestoreRequest, 'want'>, known: readonly Known[]): Promise<RestorePlan> {
  const asked = known.filter(({ manifest }) => isOwn(manifest) && (!namesBackup(want) || manifest.id === want.backup));
  const usable = founded(ctx, want, asked, known);
  const first = choose(ctx, want, usable.flatMap(baseOf));
  const lineage = usable.find(({ manifest }) => manifest.id === first.id)!.manifest.lineage!;
  const held = await holdingsOf(ctx, lineage);
  for (const { store, reason } of held.unreachable) ctx.report.emit({ type: 'warning', text: `store ${store} does not answer: ${reason}` });
  const target = targetOf(want);
  const archive = await archiveOf(ctx, lineage, held);
  const ofLineage = usable.filter(({ manifest }) => manifest.lineage === lineage);
  const base = suited(ctx, want, { first, bases: ofLineage.flatMap(baseOf), lineage }, archive);
  const chosen = usable.find(({ manifest }) => manifest.id === base.id)!;
  const ownPath = [{ timeline: base.timeline, from: 0n }];
  const reach =
    target['recovery_target'] === 'immediate'
      ? { ...reachOf(base, { segments: new Set(), histories: new Map() }, ownPath) }
      : reachOf(base, archive);
  const older = known.filter(({ manifest }) => manifest.wal && manifest.recoveryPointAt < chosen.manifest.recoveryPointAt);
  const plan: RestorePlan = {
    known: chosen,
    lineage,
    reach,
    held,
    target,
    older: older
      .slice(-3)
      .reverse()
      .map(({ manifest }) => manifest.id),
    parents: parentsIn(chosen, known),
  };
  if (!namesBackup(want)) await tellUnfounded(ctx, lineage, base, known);
  if (want.time) plan.last = await lastCommit(ctx, plan);
  refuseBehind(ctx, want, plan);
  // PostgreSQL stops at a time only before a later commit. Where none is within reach, the end of the WAL is that very state.
  if (want.time && plan.last && wanted(want) === micros(plan.last.text)) return { ...plan, target: {} };
  return plan;
}
