import { readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Runner, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';

/** Debian keeps one directory of programs per major version; newest first. Empty where there is none. */
export const debianDirs = (): string[] => {
  try {
    return readdirSync('/usr/lib/postgresql')
      .sort((a, b) => Number(b) - Number(a))
      .map(version => join('/usr/lib/postgresql', version, 'bin'));
  } catch {
    return [];
  }
};

const majorOf = async (run: Runner, file: string): Promise<number> => {
  const { stdout } = await run.text({ file, args: ['--version'] });
  return Number(/\) (\d+)/.exec(stdout)?.[1] ?? 0);
};

/** The programs of one major version, all from one directory. */
export interface Tools {
  major: number;
  /** Absolute path of a program. Throws BkpError('failed') when the directory lacks it. */
  path(program: string): string;
}

/** Directories that may hold PostgreSQL's programs, in the order in which they are tried: config, PATH, Debian's. */
const candidates = (ctx: TargetContext<PostgresConfig>, program: string): string[] => {
  const onPath = ctx.run.which(program);
  const dirs = [...ctx.config.bin, ...debianDirs()];
  return [
    ...new Set([...ctx.config.bin.map(dir => join(dir, program)), ...(onPath ? [onPath] : []), ...dirs.map(dir => join(dir, program))]),
  ].filter(file => ctx.run.which(file) !== undefined);
};

const toolsIn = (ctx: TargetContext<PostgresConfig>, file: string, major: number): Tools => {
  // A link in a directory of its own stands for the programs where it leads.
  const dir = dirname(realpathSync(file));
  return {
    major,
    path: program => {
      const found = ctx.run.which(join(dir, program)) ?? ctx.run.which(program);
      if (!found)
        throw new BkpError('failed', `postgres/${ctx.name}: ${program} is not in ${dir}`, {
          next: 'install the matching PostgreSQL package, or set `bin:`',
        });
      return found;
    },
  };
};

/**
 * Client programs for a server: at least as new as it (an older pg_basebackup refuses a newer server), oldest such first found.
 * Throws BkpError('failed') naming what was found.
 */
export async function clientTools(ctx: TargetContext<PostgresConfig>, serverMajor: number): Promise<Tools> {
  return pick(ctx, 'pg_basebackup', serverMajor, major => major >= serverMajor, `client programs of PostgreSQL ${serverMajor} or newer`);
}

/** Server programs of exactly the major version that wrote a data directory. Throws BkpError('failed') naming what was found. */
export async function serverTools(ctx: TargetContext<PostgresConfig>, major: number): Promise<Tools> {
  return pick(ctx, 'postgres', major, found => found === major, `the server programs of PostgreSQL ${major}`);
}

async function pick(
  ctx: TargetContext<PostgresConfig>,
  program: string,
  wanted: number,
  suits: (major: number) => boolean,
  what: string,
): Promise<Tools> {
  const found = await Promise.all(candidates(ctx, program).map(async file => ({ file, major: await majorOf(ctx.run, file) })));
  const match = found.find(({ major }) => major === wanted) ?? found.find(({ major }) => suits(major));
  if (match) return toolsIn(ctx, match.file, match.major);
  const seen = found.map(({ file, major }) => `${file} is ${major}`).join(', ') || 'none was found';
  throw new BkpError('failed', `postgres/${ctx.name}: ${what} are needed, and ${seen}`, {
    next: `install postgresql-${wanted}, or name its directory in \`bin:\` of postgres/${ctx.name}`,
  });
}

/** Any psql: it speaks to every server version. */
export function psqlPath(ctx: TargetContext<PostgresConfig>): string {
  const found = candidates(ctx, 'psql')[0];
  if (!found)
    throw new BkpError('failed', `postgres/${ctx.name}: psql is not on PATH and not in \`bin:\``, {
      next: 'apt-get install postgresql-client',
    });
  return found;
}
