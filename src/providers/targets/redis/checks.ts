import * as z from 'zod';
import { checkName, checksOf, expectation, judgeFound } from '../../../core/config/checks.ts';
import type { Trial } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { Context } from './cli.ts';
import { askPrivate, type Private } from './private.ts';

const hasOneQuestion = ({ keys, command }: { keys?: string | undefined; command?: string[] | undefined }): boolean =>
  (keys === undefined) !== (command === undefined);

/** The checks of an entry. */
export const checks = checksOf(
  z
    .strictObject({
      ...expectation,
      keys: z.string().min(1).optional().describe('pattern of keys, such as session:*, that are counted'),
      command: z
        .array(z.string())
        .min(1)
        .optional()
        .describe('words of a command that answers with one value, such as [HGET, user:1, name]'),
      database: z.int().min(0).max(65_535).default(0),
    })
    .refine(hasOneQuestion, { error: 'needs either keys or command' }),
);

type Check = z.infer<typeof checks>[number];

/** Counted by the server itself: no key travels, whatever is in its name. Nothing writes meanwhile, so SCAN names each key once. */
const COUNT = `local cursor, count = '0', 0
repeat
  local found = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 10000)
  cursor, count = found[1], count + #found[2]
until cursor == '0'
return count`;

const wordsOf = ({ keys, command }: Check): string[] => (keys === undefined ? command! : ['EVAL', COUNT, '0', keys]);

const asks = ({ keys, command }: Check): string => (keys === undefined ? command!.join(' ') : `keys ${keys}`);

async function answered(ctx: Context, place: Private, check: Check): Promise<Omit<Trial, 'name'>> {
  try {
    return judgeFound(await askPrivate(ctx, place, '-n', String(check.database), ...wordsOf(check)), check);
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (!(error instanceof BkpError)) throw error;
    return { state: 'fail', text: error.message };
  }
}

/** Puts each question to the private server; one that it refuses is a failure too. */
export async function tryChecks(ctx: Context, place: Private): Promise<Trial[]> {
  const trials: Trial[] = [];
  for (const check of ctx.config.checks) trials.push({ name: checkName(check, asks(check)), ...(await answered(ctx, place, check)) });
  return trials;
}
