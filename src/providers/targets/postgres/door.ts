import type { TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import { type Private, privatePsql } from './private.ts';

type Context = TargetContext<PostgresConfig>;

const SUPERUSER = 'select rolname from pg_roles where rolsuper and rolcanlogin order by oid limit 1';

/** Only a superuser may send what `privateEnv` sets for its sessions. */
async function superuserBy(ctx: Context, place: Private, user: string, database: string): Promise<string> {
  const psql = privatePsql({ ...place, superuser: user }, ['-c', SUPERUSER], database);
  const asked = user === place.superuser ? psql : { ...psql, env: { ...psql.env, PGOPTIONS: '' } };
  return (await ctx.run.text(asked, { signal: ctx.signal })).stdout.trim();
}

/**
 * Finds by whom and where a private server can be entered, and sets `superuser` and `database` of its place: a source may have none called
 * postgres, and what was renamed, locked out or dropped after the backup is so in the copy too.
 * @throws BkpError('failed') when neither the superuser of the backup nor the role of the config comes in, with the server's words, or when
 *   no superuser may log in
 */
export async function findDoor(ctx: Context, place: Private): Promise<void> {
  const failed: unknown[] = [];
  let entered = false;
  for (const user of new Set([place.superuser, ctx.config.user]))
    for (const database of new Set(['postgres', 'template1', ctx.config.database])) {
      const superuser = await superuserBy(ctx, place, user, database).catch(error => void failed.push(error));
      ctx.signal.throwIfAborted();
      entered ||= superuser !== undefined;
      if (superuser) return void Object.assign(place, { superuser, database });
    }
  // Whoever came in was told of no one; those who were not let in say less.
  if (!entered) throw failed[0];
  throw new BkpError('failed', `postgres/${ctx.name}: no superuser of the copy may log in`, {
    next: 'restore to a time when one could: --target-time',
  });
}
