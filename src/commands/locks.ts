import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { BkpError, type ExitName } from '../core/errors.ts';
import type { LeaseInfo } from '../ops/records/leaseRecord.ts';
import type { Restoring } from '../ops/records/restoring.ts';
import { formatInstant, formatTable } from '../report/format.ts';
import { firstOf, gather } from './everywhere.ts';
import type { Run, Session } from './session.ts';

type Row = LeaseInfo & { target: string };

const table = (rows: readonly Row[]): string[] =>
  formatTable(
    ['TARGET', 'STORE', 'WHAT', 'OWNER', 'SINCE', 'LAST HEARTBEAT', 'STATE', 'KEY'],
    rows.map(row => [
      row.target,
      row.store,
      row.what,
      row.owner ?? '?',
      row.startedAt ? formatInstant(row.startedAt) : '?',
      formatInstant(row.beatAt),
      row.live ? 'live' : 'expired',
      row.key,
    ]),
  );

const asJson = ({ target, store, what, owner, startedAt, beatAt, expiresAt, live, key }: Row): Record<string, unknown> => {
  const [since, beat, expires] = [startedAt, beatAt, expiresAt].map(at => at?.toISOString() ?? null);
  return {
    target,
    store,
    what,
    owner: owner ?? null,
    startedAt: since,
    beatAt: beat,
    expiresAt: expires,
    state: live ? 'live' : 'expired',
    key,
  };
};

async function show(session: Session, kind?: string, name?: string): Promise<ExitName> {
  const { locksOf } = await import('../ops/records/locks.ts');
  const { rows, exit } = await gather(session, kind, name, async ctx => {
    const { leases, problems } = await locksOf(ctx, randomBytes);
    return { found: leases, problems };
  });
  const env = session.app.env(session.options.env).name;
  const restoring = kind === undefined ? await marks(session) : [];
  const text = [...(rows.length > 0 ? table(rows) : []), ...restoring.map(tellMark)];
  session.result(
    {
      env,
      locks: rows.map(asJson),
      restoring: restoring.map(({ startedAt, ...rest }) => ({ ...rest, startedAt: startedAt?.toISOString() ?? null })),
    },
    text.length > 0 ? text : [`no locks in ${env}`],
  );
  return exit;
}

/** Stores that say that the environment is being restored. What cannot be asked was told by the list of locks. */
async function marks(session: Session): Promise<Restoring[]> {
  const { restoringIn } = await import('../ops/records/restoring.ts');
  const stack = session.app.stack(session.options.env, { shut: 'all' });
  const seen = await Promise.all(stack.stores.map(store => restoringIn(store, stack.base).catch(() => undefined)));
  return seen.filter(each => each !== undefined);
}

const tellMark = ({ store, key, owner, startedAt }: Restoring): string =>
  `store ${store} says that this environment is being restored${startedAt ? ` since ${formatInstant(startedAt)}` : ''}${owner ? ` by ${owner}` : ''}: nothing is backed up or pruned meanwhile (${key})`;

/** Whether that restore still runs nobody can see from here: whoever takes the mark away says that it does not. */
async function releaseMark(session: Session, key: string): Promise<ExitName | undefined> {
  const found = (await marks(session)).filter(mark => mark.key === key);
  if (found.length === 0) return undefined;
  const { unmarkRestoring } = await import('../ops/records/restoring.ts');
  await unmarkRestoring(session.app.stack(session.options.env));
  const left = (await marks(session)).length;
  session.result(
    { released: found.map(({ store }) => ({ store, key })) },
    found.map(({ store }) => `released: ${key} in store ${store}`),
  );
  return left > 0 ? 'failed' : 'done';
}

async function release(session: Session, key: string): Promise<ExitName> {
  const mark = await releaseMark(session, key);
  if (mark) return mark;
  const { releaseAnywhere } = await import('../ops/records/locks.ts');
  const absent = new BkpError('notFound', `no store of any target has a lock ${key}`, { next: 'bkp locks list' });
  const lease = await firstOf(session, ctx => releaseAnywhere(ctx, key, randomBytes), absent);
  session.result({ released: asJson(lease) }, [
    `released: ${key} in store ${lease.store}, whose last heartbeat was ${formatInstant(lease.beatAt)}`,
  ]);
  return 'done';
}

/** `bkp locks`: who works on a store, and what a dead run left there. */
export const locksCommand = (run: Run): Command =>
  new Command('locks')
    .description('show who prunes which store just now, and remove what a dead run left')
    .addCommand(
      new Command('list')
        .description('locks with owner, start, last heartbeat and whether they are live')
        .argument('[target]', 'kind of target')
        .argument('[name]', 'entry of that kind')
        .action((kind?: string, name?: string) => run(session => show(session, kind, name))),
    )
    .addCommand(
      new Command('release')
        .description('remove a lock whose owner is dead; one that is live is never removed')
        .argument('<key>', 'key of the lock, as list shows it')
        .action((key: string) => run(session => release(session, key))),
    );
