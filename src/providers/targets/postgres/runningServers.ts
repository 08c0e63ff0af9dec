import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';

/** A directory to which a server that runs on this host writes. */
export interface Used {
  path: string;
  /** What the server has there, in words. */
  what: string;
  dataDir: string;
  pid: number;
}

const there = (path: string): Promise<string | undefined> => realpath(path).catch(() => undefined);

/** A postmaster works in its data directory, where it says who it is; its children work there too, and are not named. */
async function dataDirOf(pid: number): Promise<string | undefined> {
  const dir = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  if (dir === undefined) return undefined;
  const text = await readFile(join(dir, 'postmaster.pid'), 'utf8').catch(() => '');
  return Number(text.split('\n')[0]) === pid ? dir : undefined;
}

async function usedBy(pid: number): Promise<Used[]> {
  const dataDir = await dataDirOf(pid);
  if (dataDir === undefined) return [];
  const spaces = await readdir(join(dataDir, 'pg_tblspc')).catch(() => []);
  const places: [path: string, what: string][] = [
    [dataDir, 'its data'],
    [join(dataDir, 'pg_wal'), 'its WAL'],
    ...spaces.map((oid): [string, string] => [join(dataDir, 'pg_tblspc', oid), 'a tablespace']),
  ];
  const used = places.map(async ([link, what]) => ({ path: await there(link), what, dataDir, pid }));
  return (await Promise.all(used)).filter((each): each is Used => each.path !== undefined);
}

/**
 * Where the servers of this host have their files, without links: data directories, and WAL and tablespaces that lie apart. None where there is
 * no /proc; of servers of other users only root sees them.
 */
export async function usedPlaces(): Promise<Used[]> {
  const pids = (await readdir('/proc').catch(() => [])).map(Number).filter(pid => pid > 0);
  return (await Promise.all(pids.map(usedBy))).flat();
}
