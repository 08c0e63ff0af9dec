import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import type { Private } from './private.ts';

type Context = TargetContext<PostgresConfig>;

/** `CREATE_TABLESPACE`'s record as pg_waldump shows it: `… lsn: 0/3000028, prev …, desc: CREATE 16385 "/mnt/fast"` (tried on 15.18 and 18.6). */
const CREATED = /lsn: ([0-9A-F]+\/[0-9A-F]+),.*desc: CREATE \d+ "(.*)"/;

/**
 * Replaying the creation of a tablespace makes its directory at the original's path, whatever was mapped, and on the original's own host
 * writes over its files: such a segment is not given to a server.
 * @param file a whole segment, under its own name
 * @throws BkpError('failed') naming path and LSN. A record that lies across the end of a segment is not seen
 */
export async function refuseNewSpaces(ctx: Context, place: Private, file: string): Promise<void> {
  // It ends with 1 at a segment's unwritten tail, so its lines count and its code does not.
  const child = ctx.run.start({ file: place.tools.path('pg_waldump'), args: ['-r', 'Tablespace', file] }, { signal: ctx.signal });
  let found: RegExpExecArray | null = null;
  for await (const line of child.lines()) found ??= CREATED.exec(line);
  await child.ended;
  if (!found) return;
  const [, lsn, path] = found;
  throw new BkpError(
    'failed',
    `the WAL creates a tablespace in ${path} at LSN ${lsn}, and replay would write to the original's own place`,
    {
      next: [`--target-lsn before ${lsn}`, 'or a backup that was taken after the tablespace was created: bkp list postgres'],
    },
  );
}

/** The same for the WAL that a base has inside. */
export async function refuseSpacesInside(ctx: Context, place: Private): Promise<void> {
  const dir = join(place.dataDir, 'pg_wal');
  for (const name of await readdir(dir)) if (/^[0-9A-F]{24}$/.test(name)) await refuseNewSpaces(ctx, place, join(dir, name));
}
