import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { sentence } from '../../../../core/errors.ts';
import type { Live } from '../live.ts';
import { identityOf } from '../log.ts';
import { sql } from '../sql.ts';
import type { Context } from './program.ts';

/** Seconds by which the two records of the server's start may differ. */
const SLACK = 5;

/** The third line of postmaster.pid: when the server that runs on these files started, in seconds since 1970. */
async function startOf(dir: string): Promise<number> {
  return Number((await readFile(join(dir, 'postmaster.pid'), 'utf8')).split('\n')[2]);
}

/**
 * A tablespace that WAL-G, reading the files, would leave out or store under another one's number, and end with 0 (tried on 3.0.9): its
 * location is a symbolic link, or lies in the data directory, or in another one's. Over the connection it is the server that reads.
 */
async function oddSpace({ tablespaces }: Live, dataDir: string): Promise<string | undefined> {
  for (const { oid, name, location } of tablespaces) {
    const others = [dataDir, ...tablespaces.filter(other => other.oid !== oid).map(other => other.location)];
    if ((await realpath(location)) !== location) return `tablespace ${name} is behind a symbolic link (${location})`;
    const around = others.find(other => location === other || location.startsWith(`${other}/`));
    if (around !== undefined) return `tablespace ${name} (${location}) lies in ${around}`;
  }
  return undefined;
}

/**
 * The data directory, when it is here and the very server of the config runs on it: a copy of the same cluster, restored or left behind by a
 * failover, has the same system identifier and would be backed up in its place.
 * @returns undefined = it is read over the connection, and that is told where `dataDir` is set
 */
export async function localDir(ctx: Context, live: Live): Promise<string | undefined> {
  const { dataDir } = ctx.config;
  if (dataDir === undefined) return undefined;
  try {
    const { systemIdentifier } = await identityOf(dataDir);
    const running = Number(await sql(ctx, 'select extract(epoch from pg_postmaster_start_time())::bigint'));
    const odd = await oddSpace(live, await realpath(dataDir));
    if (odd !== undefined) return remote(ctx, odd);
    if (systemIdentifier !== live.systemIdentifier) return remote(ctx, `${dataDir} is of cluster ${systemIdentifier}`);
    if (Math.abs((await startOf(dataDir)) - running) > SLACK) return remote(ctx, `the server does not run on ${dataDir}`);
    return await realpath(dataDir);
  } catch (error) {
    return remote(ctx, `${dataDir} cannot be read here (${sentence(error)})`);
  }
}

const remote = (ctx: Context, why: string): undefined =>
  void ctx.report.emit({ type: 'note', text: `the backup is taken over the connection, without deltas: ${why}` });
