import type { Check } from '../../../../core/contracts.ts';
import { sentence } from '../../../../core/errors.ts';
import type { Live } from '../live.ts';
import { sql } from '../sql.ts';
import { encryptionOf } from './environment.ts';
import { localDir } from './local.ts';
import { type Context, program, told, versionOf, walgOf } from './program.ts';
import { refuseUnfit } from './unfit.ts';

async function attempt(name: string, work: () => Promise<Check> | Check): Promise<Check> {
  try {
    return await work();
  } catch (error) {
    const next = (error as { next?: readonly string[] }).next?.[0];
    return { name, state: 'fail', text: sentence(error).split('\n')[0]!, ...(next === undefined ? {} : { mend: next }) };
  }
}

const MAY = `select coalesce(rolsuper, false) or (pg_has_role('pg_read_all_settings', 'usage')
  and has_function_privilege('pg_backup_start(text, boolean)', 'execute')
  and has_function_privilege('pg_backup_stop(boolean)', 'execute')) from pg_roles where rolname = current_user`;

/** WAL-G asks for data_directory, and begins and ends a backup of the files by itself. */
const rights = async (ctx: Context): Promise<Check> =>
  (await sql(ctx, MAY)) === 't'
    ? { name: 'rights for wal-g', state: 'ok', text: `${ctx.config.user} may read the settings and begin a backup` }
    : {
        name: 'rights for wal-g',
        state: 'fail',
        text: `${ctx.config.user} may not read every setting, or begin and end a backup`,
        mend: `GRANT pg_read_all_settings TO ${ctx.config.user}; GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean) TO ${ctx.config.user};`,
      };

async function deltas(ctx: Context, live: Live): Promise<Check> {
  const local = await localDir(ctx, live);
  if (local !== undefined) return { name: 'wal-g reads', state: 'ok', text: `the files in ${local}` };
  const wanted = walgOf(ctx).deltaMaxSteps > 0;
  const text = `the server over the connection${wanted ? ', so every backup is a full one although deltaMaxSteps is set' : ''}`;
  return {
    name: 'wal-g reads',
    state: wanted ? 'warn' : 'ok',
    text,
    ...(wanted ? { mend: '`dataDir:` names the directory on which the server runs, on its own host' } : {}),
  };
}

/** What engine wal-g needs on this host and of the server. */
export async function* walgChecks(ctx: Context, live: Live): AsyncGenerator<Check> {
  yield await attempt('wal-g', async () => ({ name: 'wal-g', state: 'ok', text: `${program(ctx)}, version ${await versionOf(ctx)}` }));
  yield await attempt('encryption of wal-g', () => {
    const by = encryptionOf(told(ctx, {}));
    return { name: 'encryption of wal-g', state: by === 'none' ? 'warn' : 'ok', text: by === 'none' ? 'none, as the config says' : by };
  });
  yield await attempt('rights for wal-g', () => rights(ctx));
  yield await attempt('wal-g reads', () => deltas(ctx, live));
  yield await attempt('fit for wal-g', () => {
    refuseUnfit(ctx, live);
    return { name: 'fit for wal-g', state: 'ok', text: `wal_level is ${live.walLevel}` };
  });
}
