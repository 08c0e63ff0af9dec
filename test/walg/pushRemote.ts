import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { userData } from './args.ts';
import type { Spec } from './backup.ts';
import { pgTool, runTool } from './child.ts';
import { commit } from './commit.ts';
import { fatal, log } from './log.ts';
import { type Item, walkData } from './parts.ts';
import type { ServerInfo, Session } from './postgres.ts';
import type { Run } from './run.ts';
import { scratch } from './scratch.ts';
import { parseLsn, segmentAt, segmentName } from './segment.ts';
import { nothingStored, type Stored, storeParts, storeTar } from './store.ts';

interface Taken {
  root: string;
  startLsn: number;
  finishLsn: number;
  timeline: number;
}

interface Tablespace {
  oid: string;
  loc: string;
}

const tablespaces = async (session: Session): Promise<Tablespace[]> =>
  (await session.query("select oid, pg_tablespace_location(oid) from pg_tablespace where pg_tablespace_location(oid) <> ''")).map(
    ([oid = '', loc = '']) => ({ oid, loc }),
  );

/** Where pg_basebackup says that it starts and ends, on stderr. */
function positions(stderr: string): Omit<Taken, 'root'> {
  const start = /start point: ([0-9A-F/]+) on timeline (\d+)/.exec(stderr) ?? fatal(`BASE_BACKUP: no start point: ${stderr}`);
  const end = /end point: ([0-9A-F/]+)/.exec(stderr) ?? fatal(`BASE_BACKUP: no end point: ${stderr}`);
  return { startLsn: parseLsn(start[1]!), timeline: Number(start[2]), finishLsn: parseLsn(end[1]!) };
}

/** BASE_BACKUP, by way of a directory (its WAL is not stored). The connection goes where PGHOST and PGPORT say, and nowhere else. */
async function take(env: Record<string, string>, spaces: readonly Tablespace[]): Promise<Taken> {
  const dir = scratch();
  const root = join(dir, 'data');
  const moved = spaces.map(({ oid, loc }) => `--tablespace-mapping=${loc}=${join(dir, oid)}`);
  const how = [
    '--format=p',
    '--wal-method=fetch',
    '--checkpoint=fast',
    '--label=wal-g',
    '--no-manifest',
    '--no-sync',
    '--no-password',
    '--verbose',
  ];
  const ended = await runTool(pgTool('pg_basebackup'), ['-D', root, ...how, ...moved], { ...env, LC_ALL: 'C' }).catch(error =>
    fatal(error.message),
  );
  mkdirSync(join(root, 'pg_tblspc'), { recursive: true });
  if (spaces.length > 0) writeFileSync(join(root, 'tablespace_map'), spaces.map(({ oid, loc }) => `${oid} ${loc}\n`).join(''));
  return { root, ...positions(ended.stderr) };
}

/** As the server makes WAL-G wait: until the last segment of the backup is archived, where anything is, however long that takes. */
async function untilArchived(session: Session, last: string): Promise<void> {
  const sql = `select current_setting('archive_mode') = 'off' or last_archived_wal >= '${last}' from pg_stat_archiver`;
  while ((await session.query(sql))[0]?.[0] !== 't') await new Promise(resolve => setTimeout(resolve, 100));
}

const specOf = (base_prefix: string, spaces: readonly Tablespace[]): Spec => ({
  base_prefix,
  tablespaces: spaces.map(({ oid }) => oid),
  ...Object.fromEntries(spaces.map(({ oid, loc }) => [oid, { loc, link: `pg_tblspc/${oid}` }])),
});

/** As the server sends them: each tablespace by itself, the data directory last. */
const archives = (items: readonly Item[], spaces: readonly Tablespace[]): Item[][] => {
  const within = ({ oid }: Tablespace) => items.filter(({ name }) => name.startsWith(`pg_tblspc/${oid}/`));
  const rest = items.filter(({ name }) => !spaces.some(({ oid }) => name.startsWith(`pg_tblspc/${oid}/`)));
  return [...spaces.map(within), rest];
};

/** Files alone, without the slash, and no word of the parts. */
const filesOf = (items: readonly Item[]): Stored['files'] => ({
  Files: Object.fromEntries(
    items
      .filter(({ directory }) => !directory)
      .map(({ name, mtime }) => [name, { IsIncremented: false, IsSkipped: false, MTime: mtime, UpdatesCount: 0 }]),
  ),
});

/** Times of a tar are whole seconds, so no file of a remote backup is ever the same as one on a disk: a delta on it stores everything. */
const inSeconds = (mtime: string): string => mtime.replace(/\.\d+Z$/, 'Z');

/** `backup-push` without a directory: a full backup over a replication connection. Restored, its directory has mode 750. */
export async function pushRemote(run: Run, session: Session, info: ServerInfo, started: number): Promise<void> {
  log.info('Running remote backup through Postgres connection.');
  log.info('Features like delta backup and partial restore are disabled, there might be a performance impact.');
  log.info('To run with local backup functionalities, supply [db_directory].');
  log.info('Starting remote backup');
  const spaces = await tablespaces(session);
  const { root, timeline, startLsn, finishLsn } = await take(run.settings.libpq(), spaces);
  log.info('Streaming remote backup');
  log.info('Adding data directory');
  const backup = `base_${segmentName(segmentAt(timeline, startLsn))}`;
  const items = walkData(root)
    .items.filter(({ name }) => name !== '.')
    .map(item => ({ ...item, mtime: inSeconds(item.mtime) }));
  const sizes = nothingStored();
  await storeParts(run, backup, root, archives(items, spaces), undefined, sizes);
  await storeTar(run, backup, 'pg_control', root, ['global/pg_control'], sizes);
  log.info('Finishing backup');
  log.info('If wal-g hangs during this step, please Postgres log file for details.');
  await untilArchived(session, segmentName(segmentAt(timeline, finishLsn - 1)));
  log.info('Updating metadata');
  log.info('Uploading metadata');
  const spec = specOf(info.dataDir, spaces);
  const done = { backup, started, startLsn, finishLsn, info, spec, userData: userData(run.args.value('add-user-data')) };
  await commit(run, done, { ...sizes, files: filesOf(items) });
}
