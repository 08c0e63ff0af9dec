import * as z from 'zod';
import { checkName, checksOf, expectation, judgeFound } from '../../../core/config/checks.ts';
import type { TargetContext, Trial } from '../../../core/contracts.ts';
import type { PostgresConfig } from './config.ts';
import { type Private, privatePsql } from './private.ts';
import { timed } from './proveRun.ts';

/** A backslash would be a command of psql, which can start programs. */
const sql = z
  .string()
  .min(1)
  .refine(text => !text.trimStart().startsWith('\\'), { error: 'is a command of psql; allowed is SQL' });

/** The checks of an entry. */
export const checks = checksOf(
  z.strictObject({
    ...expectation,
    sql: sql.describe('one statement, run read-only'),
    database: z.string().min(1).default('postgres'),
  }),
);

type Check = z.infer<typeof checks>[number];

/** A question that never comes to an end is no answer. */
const PATIENCE_MS = 600_000;

async function ask(ctx: TargetContext, place: Private, check: Check): Promise<Trial[]> {
  const psql = privatePsql(place, ['-c', check.sql], check.database, { default_transaction_read_only: 'on' });
  const { stdout } = await ctx.run.text(psql, { signal: ctx.signal, timeoutMs: PATIENCE_MS });
  return [{ name: checkName(check, check.sql), ...judgeFound(stdout.replace(/\n$/, ''), check) }];
}

/** Puts each question to the private server; one that it refuses is a failure too. */
export async function tryChecks(ctx: TargetContext<PostgresConfig>, place: Private): Promise<Trial[]> {
  const trials: Trial[] = [];
  for (const check of ctx.config.checks) trials.push(...(await timed(ctx, checkName(check, check.sql), () => ask(ctx, place, check))));
  return trials;
}
