import type { Opened } from '../app.ts';
import type { TargetContext } from '../core/contracts.ts';
import { BkpError, type ExitName, sentence } from '../core/errors.ts';
import { gathered } from '../ops/gathered.ts';
import { type Session, worst } from './session.ts';

/** What one target has, and the stores that could not be asked. */
interface Answer<T> {
  found: readonly T[];
  problems: readonly { store: string; error: string }[];
}

const endOf = (problems: number, stores: number): ExitName =>
  problems === 0 ? 'done' : problems < stores ? 'partial' : 'storeUnreachable';

/** Asks every target that was chosen, each with its name on what it has; a store that does not answer is a warning, and shows in `exit`. */
export async function gather<T>(
  session: Session,
  kind: string | undefined,
  name: string | undefined,
  ask: (ctx: TargetContext) => Promise<Answer<T>>,
): Promise<{ rows: ({ target: string } & T)[]; exit: ExitName }> {
  const rows: ({ target: string } & T)[] = [];
  const ends: ExitName[] = [];
  for (const { ctx } of session.app.targets(session.options.env, kind, name)) {
    const { found, problems } = await ask(ctx);
    const target = `${ctx.kind}/${ctx.name}`;
    rows.push(...found.map(row => ({ target, ...row })));
    for (const { store, error } of gathered(problems))
      session.report.emit({ type: 'warning', text: `${target}, store ${store}: ${error}` });
    ends.push(endOf(problems.length, ctx.stores.length));
  }
  return { rows, exit: worst(ends) };
}

/**
 * Does something with every target that was chosen, one after the other. Of several, one with which it cannot be done, as where none of its
 * stores answers, is a warning, and the others go on.
 * @param failed is told of that one
 * @throws BkpError when it can be done with none of them, or there is only one
 */
export async function withEach(
  session: Session,
  chosen: { kind: string | undefined; name: string | undefined; from?: string | undefined },
  work: (opened: Opened) => Promise<void>,
  failed: (target: string, error: BkpError) => void,
): Promise<void> {
  const opened = [...session.app.targets(session.options.env, chosen.kind, chosen.name, { from: chosen.from })];
  const failures: BkpError[] = [];
  for (const each of opened) {
    try {
      await work(each);
    } catch (error) {
      session.signal.throwIfAborted();
      if (opened.length === 1 || !(error instanceof BkpError)) throw error;
      const target = `${each.ctx.kind}/${each.ctx.name}`;
      session.report.emit({ type: 'warning', text: `${target}: ${sentence(error)}` });
      failed(target, error);
      failures.push(error);
    }
  }
  const end = worst(failures.map(({ exit }) => exit));
  if (failures.length === opened.length) throw failures.find(({ exit }) => exit === end)!;
}

/**
 * Asks one target of the environment after the other until one has something. What keeps a target from being asked, such as a secret
 * that is not here or a store that is silent, counts only when no other one has it.
 * @throws BkpError('notFound') with `otherwise` when all could be asked and none has it
 */
export async function firstOf<T>(
  session: Session,
  ask: (ctx: TargetContext) => Promise<T | undefined>,
  otherwise: BkpError,
): Promise<{ target: string } & T> {
  const failures: BkpError[] = [];
  for (const each of session.app.select(session.options.env)) {
    try {
      const found = await ask(session.app.target(session.options.env, each.kind, each.name).ctx);
      if (found) return { target: `${each.kind}/${each.name}`, ...found };
    } catch (error) {
      session.signal.throwIfAborted();
      if (!(error instanceof BkpError && /^(storeUnreachable|usage)$/.test(error.exit))) throw error;
      failures.push(error);
    }
  }
  const end = worst(failures.map(({ exit }) => exit));
  throw failures.find(({ exit }) => exit === end) ?? otherwise;
}
