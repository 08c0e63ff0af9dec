import * as z from 'zod';

const database = z.looseObject({
  /** Its number, which is the same in a copy, where its name does not lead into it. */
  oid: z.string().optional(),
  collation: z.string().optional(),
  /** Left by a DROP DATABASE that was cut short: nobody gets in, at the source neither. */
  invalid: z.boolean().optional(),
  /** Why the role of the backup, or this host, could not look into it. */
  unseen: z.string().optional(),
  contents: z
    .looseObject({
      schemas: z.array(z.string()).default([]),
      tables: z.number().default(0),
      liveRows: z.coerce.number().default(0),
      extensions: z
        .record(z.string(), z.string())
        .nullish()
        .transform(found => found ?? {}),
    })
    .optional(),
});

const shape = z.looseObject({
  databases: z.record(z.string(), database),
  roles: z.array(z.string()).default([]),
  preload: z.string().optional(),
  /** extension_control_path (PostgreSQL 18) and dynamic_library_path, where the role of the backup might read them. */
  controlPath: z.string().optional(),
  libraryPath: z.string().optional(),
});

/** What a cluster has, as `baseline` tells it of a source and of a copy. */
export type Baseline = z.infer<typeof shape>;

/** Reads a recorded baseline; undefined when it is none that this version knows. */
export const readBaseline = (value: unknown): Baseline | undefined => shape.safeParse(value).data;

/** Rows of one database of a copy. */
export interface Rows {
  /** Counted in tables that come with a backup, and the bytes that these take. */
  kept: number;
  bytes: number;
  /**
   * Rows that the catalog names for unlogged and temporary tables, which come back empty, and for those that a transaction that came along
   * keeps everybody from reading; tables of the first kind of which it names none, and of the second.
   */
  lost: number;
  unknown: number;
  shut: number;
}

/** What a copy lacks is a fault; what could not be compared a doubt, with what to do. */
export interface Differences {
  faults: string[];
  doubts: { text: string; mend: string }[];
}

/**
 * Whether a copy has too few rows. n_live_tup at the source is an estimate, asked some seconds after the backup's end, and twice what is
 * there for a while where a table was filled and analyzed by one session within a second (seen on 15 and 18): half of it, and a hundred
 * rows, are within it. Tables without one byte are no estimate's fault.
 */
export function tooFew(recorded: number, { kept, bytes, lost }: Rows): boolean {
  const wanted = recorded - 2 * lost;
  return (wanted > 0 && bytes === 0) || kept < wanted / 2 - 100;
}

function contentsDiffer(name: string, recorded: Baseline['databases'][string], copy: Baseline['databases'][string]): string[] {
  const { schemas, tables, extensions } = recorded.contents!;
  const other = copy.contents!;
  const version = (extension: string): string => other.extensions[extension] ?? 'none';
  return [
    ...schemas.filter(schema => !other.schemas.includes(schema)).map(schema => `database "${name}" lacks schema "${schema}"`),
    ...(other.tables < tables ? [`database "${name}" has ${other.tables} tables, and ${tables} were recorded`] : []),
    ...Object.entries(extensions)
      .filter(([extension, wanted]) => version(extension) !== wanted)
      .map(([extension, wanted]) => `database "${name}" has extension ${extension} ${version(extension)}, and ${wanted} was recorded`),
  ];
}

function rowsDiffer(name: string, recorded: number, rows: Rows): Differences {
  if (!tooFew(recorded, rows)) return { faults: [], doubts: [] };
  const text = `database "${name}" has ${rows.kept} rows, and about ${recorded} were recorded`;
  // What the rest of the proof reads, it reads on a copy where these transactions are ended.
  if (rows.shut > 0) return { faults: [], doubts: [] };
  if (rows.unknown === 0) return { faults: [text], doubts: [] };
  const unknown = `${text}; how many of them were in its ${rows.unknown} unlogged table(s) is not known`;
  return { faults: [], doubts: [{ text: unknown, mend: 'ANALYZE these on the source, then take a backup' }] };
}

function databaseDiffers(name: string, recorded: Baseline, copy: Baseline, rows: ReadonlyMap<string, Rows>): Differences {
  const before = recorded.databases[name]!;
  const after = copy.databases[name];
  if (!after) return { faults: [`database "${name}" is missing`], doubts: [] };
  if (after.invalid && before.unseen) return { faults: [], doubts: [] };
  if (after.unseen) {
    const text = `database "${name}" of the copy cannot be entered: ${after.unseen}`;
    return { faults: [], doubts: [{ text, mend: 'if it asks for a locale, install that here, or prove on a host like the source' }] };
  }
  const collation =
    before.collation !== after.collation
      ? [`database "${name}" has collation ${after.collation}, and ${before.collation} was recorded`]
      : [];
  if (!before.contents || !after.contents) return { faults: collation, doubts: [] };
  const counted = rows.get(name);
  const byRows = counted ? rowsDiffer(name, before.contents.liveRows, counted) : { faults: [], doubts: [] };
  return { faults: [...collation, ...contentsDiffer(name, before, after), ...byRows.faults], doubts: byRows.doubts };
}

/**
 * What a copy lacks of what the source had when it was backed up. More than was recorded is no fault: the source may have lost it since.
 * @param rows counted in the copy, by database; one that is not there is not compared
 */
export function compareBaseline(recorded: Baseline, copy: Baseline, rows: ReadonlyMap<string, Rows>): Differences {
  const each = Object.keys(recorded.databases).map(name => databaseDiffers(name, recorded, copy, rows));
  const roles = recorded.roles.filter(role => !copy.roles.includes(role)).map(role => `role "${role}" is missing`);
  return { faults: [...each.flatMap(({ faults }) => faults), ...roles], doubts: each.flatMap(({ doubts }) => doubts) };
}
