import { createReadStream } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes, Command, Tablespace, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import { pieceOf } from './tablespaces.ts';

/** A file of a base backup that pg_basebackup wrote into a directory, as a piece. */
export interface ScratchPiece {
  name: string;
  bytes: Bytes;
}

async function* once(path: string): Bytes {
  yield* createReadStream(path, { highWaterMark: 1 << 20 });
  // Disk is what such a backup is short of.
  await rm(path);
}

/** One that was made since the server was asked for them would be left out. Throws BkpError('failed'). */
async function refuseStrange({ name }: TargetContext, dir: string, tablespaces: readonly Tablespace[]): Promise<void> {
  const known = new Set(['base.tar', ...tablespaces.map(({ oid }) => `${oid}.tar`)]);
  const strange = (await readdir(dir)).find(file => file.endsWith('.tar') && !known.has(file));
  if (strange)
    throw new BkpError('failed', `postgres/${name}: a tablespace was made while the backup began (pg_basebackup wrote ${strange})`, {
      next: 'run it again',
    });
}

/**
 * Takes a base backup with tablespaces. pg_basebackup refuses to send more than one tar to stdout (tried on 15.18 and 18.6), so it writes
 * into a temporary directory first: one tar each, and the backup_manifest beside them.
 * @param command its program and arguments, but for `-D`
 * @returns the pieces, the base first; each file is removed once it was read
 */
export async function* scratchBase(
  ctx: TargetContext<PostgresConfig>,
  command: Command,
  tablespaces: readonly Tablespace[],
  onStderr: (line: string) => void,
): AsyncGenerator<ScratchPiece> {
  const dir = join(await ctx.scratch(), 'base');
  const { out, done } = ctx.run.pipeline([{ ...command, args: ['-D', dir, ...command.args] }], {
    signal: ctx.signal,
    onStderr: (_, line) => onStderr(line),
  });
  out.resume();
  await done;
  await refuseStrange(ctx, dir, tablespaces);
  yield { name: 'base.tar', bytes: once(join(dir, 'base.tar')) };
  for (const space of tablespaces) yield { name: pieceOf(space), bytes: once(join(dir, `${space.oid}.tar`)) };
  yield { name: 'backup_manifest', bytes: once(join(dir, 'backup_manifest')) };
}
