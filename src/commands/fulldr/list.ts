import { type ExitName, sentence } from '../../core/errors.ts';
import { skewOf } from '../../core/points.ts';
import type { BackupSet } from '../../core/set.ts';
import { type Part, partName } from '../../ops/fulldr/part.ts';
import { gathered } from '../../ops/gathered.ts';
import { formatAge, formatDuration, formatInstant, formatTable } from '../../report/format.ts';
import type { Session } from '../session.ts';
import { partsOf } from './parts.ts';

interface Row {
  set: BackupSet;
  stores: string[];
  lacks: string[];
}

/** Ids of the backups that are whole in a store, or in several together, by `kind/name`. What cannot be asked counts as not there, and is told. */
async function wholeOnes(
  session: Session,
  parts: readonly Part[],
): Promise<{ whole: Map<string, Set<string> | string>; complete: boolean }> {
  const { listTarget } = await import('../../ops/list.ts');
  const whole = new Map<string, Set<string> | string>();
  let complete = true;
  for (const part of parts) {
    try {
      if ('error' in part.opened) throw part.opened.error;
      const { rows, problems } = await listTarget(part.opened.ctx);
      complete &&= problems.length === 0;
      const ids = rows.filter(({ copies, spread }) => spread || Object.values(copies).includes('whole')).map(({ id }) => id);
      whole.set(partName(part), new Set(ids));
    } catch (error) {
      session.signal.throwIfAborted();
      complete = false;
      whole.set(partName(part), sentence(error));
      session.report.emit({ type: 'warning', text: `${partName(part)}: ${sentence(error)}` });
    }
  }
  return { whole, complete };
}

const pointsOf = ({ members }: BackupSet) => members.flatMap(({ recoveryPointAt }) => (recoveryPointAt ? [{ at: recoveryPointAt }] : []));

const table = (rows: readonly Row[], now: Date): string[] =>
  formatTable(
    ['SET', 'AGE', 'FROM', 'TO', 'SKEW', 'PARTS', 'STORES', 'STATE'],
    rows.map(({ set, stores, lacks }) => {
      const at = pointsOf(set)
        .map(point => point.at)
        .sort();
      return [
        set.id,
        formatAge(new Date(set.startedAt), now),
        at[0] ? formatInstant(new Date(at[0])) : '-',
        at.length > 0 ? formatInstant(new Date(at.at(-1)!)) : '-',
        formatDuration(skewOf(pointsOf(set))),
        String(set.members.length),
        stores.join(', '),
        lacks.length === 0 ? 'complete' : 'INCOMPLETE',
      ];
    }),
  );

/** Every set with what became of its members. Exit 3 when a store or a record keeps something from being seen. */
export async function showSets(session: Session, options: { from?: string } = {}): Promise<ExitName> {
  const { lacksOf, readSets } = await import('../../ops/fulldr/sets.ts');
  const parts = partsOf(session, options);
  const stack = session.app.stack(session.options.env, options);
  const { sets, problems } = await readSets(stack);
  for (const { store, key, error } of gathered(problems))
    session.report.emit({ type: 'warning', text: `store ${store}${key ? `, ${key}` : ''}: ${error}` });
  const { whole, complete } = await wholeOnes(session, parts);
  const rows = sets.map(({ set, stores }): Row => ({ set, stores, lacks: lacksOf(set, whole) }));
  session.result(
    { env: stack.env, sets: rows.map(({ set, stores, lacks }) => ({ ...set, stores, complete: lacks.length === 0, lacks })) },
    rows.length === 0
      ? [`no sets of ${stack.env} yet: bkp backup full-dr takes one`]
      : [...table(rows, new Date()), ...rows.flatMap(({ set, lacks }) => lacks.map(text => `${set.id} lacks ${text}`))],
  );
  return problems.length === 0 && complete ? 'done' : 'partial';
}
