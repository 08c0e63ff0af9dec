import { glob, lstat, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { formatDuration } from '../../../../core/age.ts';
import { checkName, checksOf, expectation, judgeFound } from '../../../../core/config/checks.ts';
import { duration } from '../../../../core/config/fields.ts';
import type { Trial } from '../../../../core/contracts.ts';
import { parseDuration } from '../../../../core/duration.ts';
import { formatBytes } from '../../../../core/size.ts';

/** Out of the copy there is nothing that a check may find good. */
const pattern = z
  .string()
  .min(1)
  .refine(text => !text.split('/').includes('..'), { error: 'leads out of what came back' });

/** The checks of an entry. */
export const checks = checksOf(
  z.strictObject({
    ...expectation,
    glob: pattern.describe(
      'pattern of files that are counted, such as www/**/*.html, in each path of the entry; one that begins with a slash is of whole paths',
    ),
    bytes: z.int().min(1).optional().describe('they have at least so many bytes together'),
    newest: duration.optional().describe('the newest of them was written at most so long before the backup'),
  }),
);

export type Check = z.infer<typeof checks>[number];

/** Files that are like a pattern. `newest` = when the one that was written last was, ms; absent where there are none. */
export interface Matched {
  count: number;
  bytes: number;
  newest?: number;
}

/** What was found means to whoever wrote the check. @param at the instant of the backup */
export function judgeMatched(check: Check, { count, bytes, newest }: Matched, at: Date): Omit<Trial, 'name'> {
  const counted = judgeFound(String(count), check);
  const faults = [
    ...(counted.state === 'fail' ? [counted.text] : []),
    ...(check.bytes !== undefined && bytes < check.bytes
      ? [`they have ${formatBytes(bytes)}, and at least ${formatBytes(check.bytes)} were expected`]
      : []),
    ...(check.newest !== undefined && (newest === undefined || at.getTime() - newest > parseDuration(check.newest))
      ? [
          newest === undefined
            ? 'there is none whose age could be looked at'
            : `the newest was written ${formatDuration(at.getTime() - newest)} before the backup, and ${check.newest} is the most`,
        ]
      : []),
  ];
  return faults.length > 0
    ? { state: 'fail', text: faults.join('; ') }
    : { state: 'ok', text: `${count} file(s) with ${formatBytes(bytes)}` };
}

/** The directories in which a pattern is looked for, each with the rest of it. */
const placesOf = (text: string, stage: string, paths: readonly string[]): [string, string][] =>
  text.startsWith('/') ? [[stage, text.slice(1)]] : paths.map(path => [join(stage, path), text]);

async function match(text: string, stage: string, paths: readonly string[]): Promise<Matched> {
  const found: Matched = { count: 0, bytes: 0 };
  const inside = `${await realpath(stage)}/`;
  const within = new Map<string, boolean>();
  const isInside = async (dir: string): Promise<boolean> => {
    if (!within.has(dir)) within.set(dir, `${await realpath(dir)}/`.startsWith(inside));
    return within.get(dir)!;
  };
  for (const [cwd, rest] of placesOf(text, stage, paths))
    for await (const entry of glob(rest, { cwd, withFileTypes: true })) {
      const { parentPath, name } = entry;
      // A link of the copy may lead to the very files that were lost.
      if (!entry.isFile() || !(await isInside(parentPath))) continue;
      const { size, mtimeMs } = await lstat(join(parentPath, name));
      found.count += 1;
      found.bytes += size;
      found.newest = Math.max(found.newest ?? 0, mtimeMs);
    }
  return found;
}

/**
 * Looks for the files of each check in a restored copy.
 * @param stage where everything lies under its whole path
 * @param paths of the entry, on the source
 * @param at the instant of the backup
 */
export async function tryChecks(all: readonly Check[], stage: string, paths: readonly string[], at: Date): Promise<Trial[]> {
  const trials: Trial[] = [];
  for (const check of all)
    trials.push({ name: checkName(check, check.glob), ...judgeMatched(check, await match(check.glob, stage, paths), at) });
  return trials;
}
