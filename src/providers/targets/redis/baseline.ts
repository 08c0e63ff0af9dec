import * as z from 'zod';
import type { Keys, Rdb } from './rdb/reader.ts';

const database = z.looseObject({ keys: z.number(), expires: z.number().default(0) });

const shape = z.looseObject({
  databases: z.record(z.string(), database),
  /** `dump`: counted in the dump itself. `info`: asked of the server at the same time, since the dump holds types that cannot be counted. */
  counted: z.enum(['dump', 'info']).default('info'),
  functions: z.number().default(0),
  /** Modules that the source had loaded, and the types of those that have data in the dump. */
  modules: z.array(z.string()).default([]),
  moduleTypes: z.array(z.string()).default([]),
  aof: z
    .looseObject({
      appendonly: z.string().optional(),
      appenddirname: z.string().optional(),
      appendfilename: z.string().optional(),
      dbfilename: z.string().optional(),
    })
    .optional(),
});

/** What a backup recorded of what its source held. */
export type Baseline = z.infer<typeof shape>;

/** Reads a recorded baseline; undefined when it is none that this version knows. */
export const readBaseline = (value: unknown): Baseline | undefined => shape.safeParse(value).data;

export type Databases = Readonly<Record<string, { keys: number; expires: number }>>;

/** Databases that hold something, as a manifest records them. */
export const countsOf = (databases: ReadonlyMap<number, Keys>): Databases =>
  Object.fromEntries(
    [...databases].filter(([, { keys }]) => keys > 0).map(([number, { keys, expires }]) => [String(number), { keys, expires }]),
  );

/** How many databases a server needs for a dump: at a key of a higher one it ends itself, also as a replica (Redis 7.0, Valkey 9.1). */
export const leastDatabases = (recorded: Baseline | undefined): number =>
  1 + Math.max(0, ...Object.keys(recorded?.databases ?? {}).map(Number));

/** All keys of a baseline. */
export const totalOf = (databases: Databases): number => Object.values(databases).reduce((sum, { keys }) => sum + keys, 0);

/** `12 keys in 2 databases`. */
export function inWords(databases: Databases): string {
  const full = Object.values(databases).filter(({ keys }) => keys > 0).length;
  const total = totalOf(databases);
  return `${total} ${total === 1 ? 'key' : 'keys'} in ${full} ${full === 1 ? 'database' : 'databases'}`;
}

/** Whether a dump is the one that was recorded: counts that the same reader made are the same, to the key. */
export function unlikeRecorded(recorded: Baseline, rdb: Rdb): string[] {
  if (recorded.counted !== 'dump' || !rdb.databases) return [];
  const found = countsOf(rdb.databases);
  const names = [...new Set([...Object.keys(recorded.databases), ...Object.keys(found)])];
  return names
    .filter(name => (recorded.databases[name]?.keys ?? 0) !== (found[name]?.keys ?? 0))
    .map(
      name => `database ${name} of the dump has ${found[name]?.keys ?? 0} keys, and ${recorded.databases[name]?.keys ?? 0} were recorded`,
    );
}

/**
 * What a server that loaded a dump has too few or too many of. Keys past their time are dropped as it loads; those that go within the
 * reader's horizon may or may not be there.
 * @param late the horizon is over: what has a time at all may be gone
 * @param lingers the server loaded it as a replica, which leaves what is past its time to its master: once it is one itself it takes that away bit
 *   by bit (tried on Redis 7.0 and Valkey 9.1)
 * @returns a sentence for each database that is not as the dump was
 */
export function differences(rdb: Rdb, recorded: Baseline | undefined, found: Databases, late: boolean, lingers = false): string[] {
  if (!rdb.databases) return estimated(recorded, found);
  const names = [...new Set([...[...rdb.databases.keys()].map(String), ...Object.keys(found)])];
  return names.flatMap(name => {
    const { keys = 0, expires = 0, expired = 0, fading = 0 } = rdb.databases!.get(Number(name)) ?? {};
    const most = lingers ? keys : keys - expired;
    const least = late ? keys - Math.max(expires, expired + fading) : keys - expired - fading;
    const has = found[name]?.keys ?? 0;
    if (has >= least && has <= most) return [];
    return [
      `database ${name} has ${has} keys, and ${least === most ? '' : `${least} to `}${most} of the ${keys} in the dump have to be there`,
    ];
  });
}

/** A dump whose keys could not be counted: nothing may have become of something. */
function estimated(recorded: Baseline | undefined, found: Databases): string[] {
  return Object.entries(recorded?.databases ?? {})
    .filter(([name, { keys, expires }]) => keys > expires && (found[name]?.keys ?? 0) === 0)
    .map(([name, { keys }]) => `database ${name} is empty, and it had about ${keys} keys`);
}
