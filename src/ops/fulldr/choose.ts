import type { Want } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { bestPoint, type Point } from '../../core/points.ts';
import { policyOf } from '../../core/retention.ts';
import type { BackupSet } from '../../core/set.ts';
import { gathered } from '../gathered.ts';
import { type Part, partName } from './part.ts';
import { reachOf } from './reach.ts';

/** What the whole stack is to be brought back to: the newest that each has, the newest at or before an instant, or what a set names. */
export type Asked = { latest: true } | { time: Date } | { set: BackupSet };

/** What one part is brought back to. */
export interface Chosen {
  want: Want;
  /** The state that this is; unknown where an earlier run chose it. */
  point?: Point;
}

const ofSet = (part: Part, set: BackupSet): Chosen => {
  const member = set.members.find(({ kind, name }) => kind === part.kind && name === part.name);
  if (member?.backup && member.recoveryPointAt)
    return {
      want: { backup: member.backup },
      point: { at: member.recoveryPointAt, store: '', by: 'backup', want: { backup: member.backup } },
    };
  throw new BkpError('notFound', `set ${set.id} has no backup of ${partName(part)}${member?.error ? `: ${member.error}` : ''}`, {
    next: [`--skip ${partName(part)}`, 'or take another set: bkp list full-dr'],
  });
};

/**
 * Chooses what one part is brought back to.
 * @throws BkpError('notFound') when nothing of it lies at or before the instant, what opening it threw, and what its stores throw
 */
export async function choosePart(part: Part, asked: Asked): Promise<Chosen> {
  if ('error' in part.opened) throw part.opened.error;
  if ('set' in asked) return ofSet(part, asked.set);
  const { target, ctx, entry } = part.opened;
  const { reaches, problems } = await reachOf(target, ctx, policyOf(entry.retention).window);
  for (const { store, error } of gathered(problems))
    ctx.report.emit({ type: 'warning', text: `${partName(part)}, store ${store}: ${error}` });
  const point = bestPoint(reaches, 'time' in asked ? asked.time : undefined);
  if (point) return { want: point.want, point };
  const when = 'time' in asked ? ` from ${asked.time.toISOString()} or before` : '';
  throw new BkpError('notFound', `${partName(part)} has no good backup${when}`, {
    next: [`bkp points ${part.kind} ${part.name}`, `--skip ${partName(part)}`],
  });
}

/** A sentence and what to do next, of whatever was thrown. */
export const refusalOf = (part: Part, error: unknown): string =>
  `${partName(part)}: ${sentence(error)}${error instanceof BkpError && error.next[0] ? ` → ${error.next[0]}` : ''}`;
