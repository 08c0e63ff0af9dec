import { BkpError } from '../../core/errors.ts';
import { near } from '../../core/near.ts';
import { type Named, type Part, partName } from '../../ops/fulldr/part.ts';
import type { Session } from '../session.ts';

/** What stands for the whole stack where a kind of target would stand. */
export const FULL_DR = 'full-dr';

/** Whether the whole stack is meant. @throws BkpError('usage') for a word that is nearly that, and no kind */
export function isFullDr(kind: string | undefined): boolean {
  if (kind === undefined || kind === FULL_DR || near(kind, [FULL_DR]) === undefined) return kind === FULL_DR;
  throw new BkpError('usage', `there is no target "${kind}"; did you mean "${FULL_DR}"?`);
}

/** Whether a word of `--skip` means an entry. */
export const meant = (text: string, { kind, name }: Named): boolean => text === kind || text === `${kind}/${name}`;

/**
 * The targets of an environment that are parts of full-dr, each opened as far as it can be.
 * @param options `from` leaves one store; `backupsOf` is the environment whose backups are read; `skip` = kinds and entries to leave out;
 *   `known` = what may be left out beside the entries
 * @throws BkpError('usage') for a name to skip that is none, 'notFound' when no part is left
 */
export function partsOf(
  session: Session,
  options: { from?: string; backupsOf?: string; skip?: readonly string[]; known?: readonly Named[] } = {},
): Part[] {
  const { app } = session;
  const env = app.env(session.options.env);
  const all = app.select(session.options.env);
  const unknown = options.skip?.find(text => ![...all, ...(options.known ?? [])].some(each => meant(text, each)));
  if (unknown !== undefined)
    throw new BkpError('usage', `--skip ${unknown} is no kind and no entry of ${env.name}`, {
      next: `one of: ${all.map(partName).join(', ')}`,
    });
  const chosen = all.filter(each => !options.skip?.some(text => meant(text, each)));
  const { skip: _skip, known: _known, ...open } = options;
  const parts = chosen.flatMap(({ kind, name }): Part[] => {
    const { fullDr } = env.targets[kind]![name]!;
    if (fullDr.skip) return [];
    return [{ kind, name, after: fullDr.after, fullDr, opened: opened(() => app.target(session.options.env, kind, name, open)) }];
  });
  if (parts.length === 0) throw new BkpError('notFound', `nothing of environment ${env.name} is a part of full-dr`);
  return parts;
}

function opened(open: () => ReturnType<Session['app']['target']>): Part['opened'] {
  try {
    const { target, ctx, entry } = open();
    return { target, ctx, entry };
  } catch (error) {
    if (error instanceof BkpError) return { error };
    throw error;
  }
}
