import type { Manifest, TargetContext, Trial } from '../../../core/contracts.ts';
import { tryChecks } from './checks.ts';
import type { PostgresConfig } from './config.ts';
import { askPrivate, type Private } from './private.ts';
import { checkRelations } from './proveAmcheck.ts';
import { type Baseline, compareBaseline, type Rows, readBaseline } from './proveBaseline.ts';
import { copyBaseline, driftsOf, REBUILD, rowsOf } from './proveCopy.ts';
import { few, timed } from './proveRun.ts';

type Context = TargetContext<PostgresConfig>;

const entered = (copy: Baseline): string[] => Object.keys(copy.databases).filter(name => !copy.databases[name]!.unseen);

async function countRows(ctx: Context, place: Private, recorded: Baseline, copy: Baseline): Promise<Map<string, Rows>> {
  const rows = new Map<string, Rows>();
  for (const name of entered(copy))
    if (recorded.databases[name]?.contents) rows.set(name, await rowsOf(ctx, place, { name, byOid: copy.databases[name]!.oid }));
  return rows;
}

function summary({ databases }: Baseline, rows: ReadonlyMap<string, Rows>): string {
  const total = [...rows.values()].reduce((sum, { kept }) => sum + kept, 0);
  const about = [...rows.keys()].reduce((sum, name) => sum + databases[name]!.contents!.liveRows, 0);
  const unseen = Object.values(databases).filter(each => each.unseen).length;
  const but = unseen > 0 ? `; ${unseen} could not be looked into at backup time, and only have to be there` : '';
  return `${Object.keys(databases).length} database(s) with ${total} rows, and about ${about} were recorded at backup time${but}`;
}

/** What the source had at backup time against what the copy has. */
async function likeSource(ctx: Context, place: Private, manifest: Manifest, copy: Baseline | undefined): Promise<Trial[]> {
  const name = 'baseline';
  const recorded = readBaseline(manifest.baseline);
  if (!recorded || !copy) return [{ name, state: 'unproven', text: 'the manifest records nothing of what the source had' }];
  const rows = await countRows(ctx, place, recorded, copy);
  const { faults, doubts } = compareBaseline(recorded, copy, rows);
  const unproven = doubts.map((doubt): Trial => ({ name, state: 'unproven', ...doubt }));
  if (faults.length + doubts.length > 0) return [...few(name, faults), ...unproven];
  return [{ name, state: 'ok', text: summary(recorded, rows) }];
}

/**
 * What a promoted copy lacks of the databases, schemas, tables, extensions and roles that were recorded; rows are not counted, since that
 * takes as long as reading them. A record that is none says nothing.
 */
export async function unlikeSource(ctx: Context, place: Private, manifest: Manifest): Promise<string[]> {
  const recorded = readBaseline(manifest.baseline);
  const copy = recorded && readBaseline(await copyBaseline(ctx, place));
  return recorded && copy ? compareBaseline(recorded, copy, new Map()).faults : [];
}

/** A copy that can be read but not written is no restore. */
async function write(ctx: Context, place: Private, id: string): Promise<Trial[]> {
  const schema = `"bkp proof of ${id}"`;
  const count = await askPrivate(
    ctx,
    place,
    `create schema ${schema}`,
    `create table ${schema}.written (n int primary key)`,
    `insert into ${schema}.written select generate_series(1, 100)`,
    `select count(*) from ${schema}.written`,
    `drop table ${schema}.written`,
    `drop schema ${schema}`,
  );
  if (count !== '100') return [{ name: 'write', state: 'fail', text: `100 rows were written, and ${count} came back` }];
  return [{ name: 'write', state: 'ok', text: 'a table was made, filled, read and dropped' }];
}

/** A copy compared with its source; `drifted` are databases whose collations this host orders otherwise. */
export interface Compared {
  trials: Trial[];
  drifted: ReadonlySet<string>;
}

/** Compares a copy, which may only be read, with what the source had at backup time. Only its private socket is used. */
export async function compare(ctx: Context, place: Private, manifest: Manifest): Promise<Compared> {
  let copy: Baseline | undefined;
  const compared = await timed(ctx, 'baseline', async () => {
    copy = readBaseline(await copyBaseline(ctx, place));
    return likeSource(ctx, place, manifest, copy);
  });
  let drifted: ReadonlyMap<string, string> = new Map();
  const mend = `after a restore on such a host: ${REBUILD}`;
  const notes = await timed(ctx, 'collation', async () => {
    if (copy) drifted = await driftsOf(ctx, place);
    return [...drifted.values()].map((text): Trial => ({ name: 'collation', state: 'note', text, mend }));
  });
  return { trials: [...compared, ...notes], drifted: new Set(drifted.keys()) };
}

/** Everything else that is tried on a promoted copy while it runs. Only its private socket is used. */
export const exercise = async (ctx: Context, place: Private, { id }: Manifest, { drifted }: Compared): Promise<Trial[]> => [
  ...(await timed(ctx, 'pg_amcheck', () => checkRelations(ctx, place, drifted))),
  ...(await tryChecks(ctx, place)),
  ...(await timed(ctx, 'write', () => write(ctx, place, id))),
];
