import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TargetContext } from '../../../core/contracts.ts';
import type { PostgresConfig } from './config.ts';
import { type RestorePlan, readPlanned } from './plan.ts';
import { serverTools } from './tools.ts';

/** A commit as pg_waldump shows it: `text` in UTC with microseconds, `at` cut to milliseconds. */
export interface Commit {
  at: Date;
  text: string;
}

const RECORD = ', desc: ';
/** The second half of a prepared transaction has its number before the time. */
const COMMIT = /^, desc: COMMIT(?:_PREPARED \d+:)? (\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(\.\d+)? UTC/;

/** Names that people give transactions come later in a line, and say nothing. */
const commitIn = (line: string): Commit | undefined => {
  const match = COMMIT.exec(line.slice(line.indexOf(RECORD)));
  if (!match) return undefined;
  const [, day, time, fraction = ''] = match;
  return { at: new Date(`${day}T${time}${fraction.slice(0, 4)}Z`), text: `${day}T${time}${fraction}Z` };
};

/** The last commit in the plan's WAL, looked for from its end; the end of the base backup when there is none after it. */
export async function lastCommit(ctx: TargetContext<PostgresConfig>, plan: RestorePlan): Promise<Commit> {
  const { base, segments } = plan.reach;
  const tools = await serverTools(ctx, Math.floor(Number(/^\d+/.exec(plan.known.manifest.versions['server'] ?? '')?.[0])));
  const dir = await ctx.scratch();
  for (const name of [...segments].reverse()) {
    const plain = await readPlanned(ctx, plan, name);
    if (!plain) continue;
    const file = join(dir, name);
    await writeFile(file, plain, { mode: 0o600 });
    const found = await lastIn(ctx, tools.path('pg_waldump'), file);
    if (found && found.at > base.endedAt) return found;
  }
  return { at: base.endedAt, text: base.endedAt.toISOString() };
}

/** pg_waldump ends with 1 at a segment's unwritten tail, so its lines count and its code does not. */
async function lastIn(ctx: TargetContext<PostgresConfig>, pgWaldump: string, file: string): Promise<Commit | undefined> {
  const child = ctx.run.start({ file: pgWaldump, args: ['-r', 'Transaction', file] }, { signal: ctx.signal });
  let last: Commit | undefined;
  for await (const line of child.lines()) last = commitIn(line) ?? last;
  await child.ended;
  return last;
}
