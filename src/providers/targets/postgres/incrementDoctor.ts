import type { Check, TargetContext } from '../../../core/contracts.ts';
import { FIRST_MAJOR } from '../../../core/postgres/increment.ts';
import type { PostgresConfig } from './config.ts';
import { incrementsOf, summarizes } from './increment.ts';
import type { Live } from './live.ts';

/** Whether the server lets increments be made, where the entry wants them. */
export async function* incrementChecks(ctx: TargetContext<PostgresConfig>, live: Live): AsyncIterable<Check> {
  if (!incrementsOf(ctx.config)) return;
  const name = 'incremental';
  const major = Math.floor(live.versionNum / 10000);
  if (major < FIRST_MAJOR) {
    const text = `the server is PostgreSQL ${major}, and increments need ${FIRST_MAJOR} or newer: every backup is a full one`;
    yield { name, state: 'warn', text, mend: `take \`incremental:\` out of postgres/${ctx.name}, or upgrade the server` };
  } else if (await summarizes(ctx)) yield { name, state: 'ok', text: 'the server summarizes its WAL' };
  else
    yield {
      name,
      state: 'warn',
      text: 'summarize_wal is off: every backup is a full one, with a warning',
      mend: "ALTER SYSTEM SET summarize_wal = 'on'; SELECT pg_reload_conf();",
    };
}
