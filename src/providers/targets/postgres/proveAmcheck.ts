import { availableParallelism } from 'node:os';
import type { TargetContext, Trial } from '../../../core/contracts.ts';
import type { PostgresConfig } from './config.ts';
import { askPrivate, type Private, privateEnv } from './private.ts';
import { few, isOfHost, said } from './proveRun.ts';

type Context = TargetContext<PostgresConfig>;

const NAME = 'pg_amcheck';

/** A table or index that is not sound, as pg_amcheck names it. */
export interface Unsound {
  kind: 'heap table' | 'btree index';
  /** `database.schema.name`, as far as that can be told apart. */
  relation: string;
  text: string;
}

/**
 * What pg_amcheck prints on stdout (tried on 15 and 18): a line `heap table "db.schema.t", block 3, offset 7:` or
 * `btree index "db.schema.i":`, and below it the complaint, indented. Once for each relation, with the number of what follows.
 */
export function unsoundIn(lines: readonly string[]): Unsound[] {
  const found = new Map<string, Unsound & { more: number }>();
  let now: (Unsound & { more: number }) | undefined;
  for (const line of lines) {
    const head = /^(heap table|btree index) "(.*)"(.*):$/.exec(line);
    if (head) {
      const [, kind, relation, where] = head as unknown as [string, Unsound['kind'], string, string];
      const known = found.get(`${kind} ${relation}`);
      if (known) known.more += 1;
      now = known ? undefined : { kind, relation, text: `${kind} "${relation}"${where}:`, more: 0 };
      if (now) found.set(`${kind} ${relation}`, now);
    } else if (/^\s/.test(line)) {
      if (now) now.text += ` ${line.trim().replace(/\s+/g, ' ')}`;
    } else now = undefined;
  }
  return [...found.values()].map(({ more, ...each }) => (more > 0 ? { ...each, text: `${each.text} (and ${more} more in it)` } : each));
}

const ARGS = ['--all', '--install-missing', '--heapallindexed', '--no-password'];

/**
 * Every table and B-tree index of every database, each row of a table found in its indexes. Runs on a promoted server.
 * @param drifted databases whose collations this host orders otherwise than the source: their indexes may only seem to be wrong
 */
export async function checkRelations(ctx: Context, place: Private, drifted: ReadonlySet<string>): Promise<Trial[]> {
  const there = await askPrivate(ctx, place, "select count(*) from pg_available_extensions where name = 'amcheck'");
  if (there === '0')
    return [
      { name: NAME, state: 'unproven', text: `extension amcheck is not installed here`, mend: 'install the contrib package of PostgreSQL' },
    ];
  const args = [...ARGS, `--jobs=${Math.min(4, availableParallelism())}`];
  // It goes from database to database by their names, which have to stay the bytes that they are.
  const env = { ...privateEnv(place), PGCLIENTENCODING: 'SQL_ASCII' };
  const end = await said(ctx, { file: place.tools.path(NAME), args, cwd: '/', env, ...(place.owner ?? {}) });
  if (end.code === 0) return [{ name: NAME, state: 'ok', text: 'every table and B-tree index is sound, and every row is in its indexes' }];
  const unsound = unsoundIn(end.lines);
  if (unsound.length > 0) return told(unsound, drifted);
  const last = end.lines.slice(-4).join(' | ');
  const text = `it ended with exit code ${end.code}: ${last}`;
  return [{ name: NAME, state: isOfHost(last) ? 'unproven' : 'fail', text }];
}

function told(unsound: readonly Unsound[], drifted: ReadonlySet<string>): Trial[] {
  const seems = ({ kind, relation }: Unsound): boolean =>
    kind === 'btree index' && [...drifted].some(database => relation.startsWith(`${database}.`));
  const doubtful = unsound.filter(seems);
  const fails = few(
    NAME,
    unsound.filter(each => !seems(each)).map(({ text }) => text),
  );
  if (doubtful.length === 0) return fails;
  const text = `${doubtful.length} index(es) of databases whose collations this host orders otherwise, such as ${doubtful[0]!.text}`;
  return [...fails, { name: NAME, state: 'unproven', text, mend: 'prove it on a host with the libc and ICU of the source' }];
}
