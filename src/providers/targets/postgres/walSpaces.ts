import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { parseSegment, segmentName } from '../../../core/postgres/lsn.ts';
import { type Suspicion, suspectSpaces } from '../../../core/postgres/spaceRecord.ts';
import type { PostgresConfig } from './config.ts';
import type { Private } from './private.ts';

type Context = TargetContext<PostgresConfig>;

/** Looks at the plain bytes of a segment before a server gets it. Throws BkpError('failed') when it must not. */
export type LookAt = (name: string, plain: Buffer) => Promise<void>;

/** `CREATE_TABLESPACE`'s record as pg_waldump shows it: `… lsn: 0/3000028, prev …, desc: CREATE 16385 "/mnt/fast"` (tried on 15.18 and 18.6). */
const CREATED = /lsn: ([0-9A-F]+\/[0-9A-F]+),.*desc: CREATE \d+ "(.*)"/;

/** Throws BkpError('failed') with path and LSN when pg_waldump shows the creation of a tablespace in a segment, or on the way to `last`. */
async function refuseCreated(ctx: Context, place: Private, file: string, last: readonly string[] = []): Promise<void> {
  // It ends with 1 at a segment's unwritten tail, so its lines count and its code does not.
  const command = { file: place.tools.path('pg_waldump'), args: ['-r', 'Tablespace', file, ...last] };
  const child = ctx.run.start(command, { signal: ctx.signal });
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

/**
 * pg_waldump's word on a segment in which there may be such a record: on it alone, and together with those that a record at its ends may
 * cross to. They get names of its own timeline, by which pg_waldump looks for them; after a switch their beginnings are the same.
 */
async function judge(
  ctx: Context,
  place: Private,
  name: string,
  plain: Buffer,
  { crossesStart, crossesEnd }: Suspicion,
  read: Beside,
): Promise<void> {
  const segment = parseSegment(name, plain.length);
  const dir = await mkdtemp(join(place.dir, 'look-'));
  const lay = async (by: number): Promise<string | undefined> => {
    if (!segment) return undefined;
    const other = segmentName({ ...segment, number: segment.number + by }, plain.length);
    const bytes = await read(other);
    if (bytes) await writeFile(join(dir, other), bytes, { mode: 0o600 });
    return bytes ? other : undefined;
  };
  try {
    await writeFile(join(dir, name), plain, { mode: 0o600 });
    await refuseCreated(ctx, place, join(dir, name));
    const before = crossesStart ? await lay(-1) : undefined;
    if (before) await refuseCreated(ctx, place, join(dir, before), [name]);
    const after = crossesEnd ? await lay(1) : undefined;
    if (after) await refuseCreated(ctx, place, join(dir, name), [after]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The segment of a number, whatever timeline the name says: what is replayed there. */
type Beside = (name: string) => Promise<Buffer | undefined>;

const besides =
  (segments: readonly string[], read: Beside): Beside =>
  async name => {
    const other = segments.includes(name) ? name : segments.find(each => each.slice(8) === name.slice(8));
    return other === undefined ? undefined : read(other);
  };

/**
 * Replaying the creation of a tablespace makes its directory at the original's path, whatever was mapped, and on the original's own host
 * writes over its files: such a segment is not given to a server.
 * @param segments names of what is replayed
 * @param read the plain bytes of one of them
 * @returns what looks at one of them; it throws BkpError('failed') naming path and LSN
 */
export function refuseNewSpaces(ctx: Context, place: Private, segments: readonly string[], read: Beside): LookAt {
  return async (name, plain) => {
    const suspicion = suspectSpaces(plain);
    if (suspicion) await judge(ctx, place, name, plain, suspicion, besides(segments, read));
  };
}

/** The same for the WAL that a base has inside. */
export async function refuseSpacesInside(ctx: Context, place: Private): Promise<void> {
  const dir = join(place.dataDir, 'pg_wal');
  const names = (await readdir(dir)).filter(name => /^[0-9A-F]{24}$/.test(name));
  const read = (name: string): Promise<Buffer> => readFile(join(dir, name));
  const look = refuseNewSpaces(ctx, place, names, read);
  for (const name of names) await look(name, await read(name));
}
