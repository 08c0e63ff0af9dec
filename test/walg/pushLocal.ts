import { realpathSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { userData } from './args.ts';
import { commit } from './commit.ts';
import { type Base, checkBase, chooseBase } from './delta.ts';
import { fatal, log } from './log.ts';
import { mark } from './mark.ts';
import { walkData } from './parts.ts';
import type { ServerInfo, Session } from './postgres.ts';
import type { Run } from './run.ts';
import { scratch } from './scratch.ts';
import { firstSegment, parseLsn, segmentName } from './segment.ts';
import { nothingStored, type Stored, storeParts, storeTar } from './store.ts';

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const real = (path: string): string => {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
};

function checkPlace(given: string, { dataDir }: ServerInfo): void {
  if (real(resolve(given)) !== real(dataDir))
    fatal(`Data directory from command line '${given}' is not the same as Postgres' one '${real(dataDir)}'`);
}

/** Begins the backup on the server. Its name is that of the segment where it starts. */
async function start(session: Session, base: Base | undefined, info: ServerInfo): Promise<{ backup: string; lsn: number }> {
  log.info('Calling pg_start_backup()');
  const sql = `select pg_walfile_name(lsn), lsn from pg_backup_start(${quoted(new Date().toISOString())}, true) lsn`;
  const [row] = await session.query(sql).catch(error => fatal(`QueryRunner StartBackup: pg_start_backup() failed: ${error.message}`));
  const [file = '', text = ''] = row!;
  const lsn = parseLsn(text);
  log.info(`Started backup with name base_${file} at LSN ${text}`);
  if (base) checkBase(base, lsn, info);
  const after = base ? `_D_${segmentName(firstSegment(base.name)!)}` : '';
  return { backup: `base_${file}${after}`, lsn };
}

/** Ends the backup on the server and stores backup_label and tablespace_map. Returns where it ended. */
async function stop(run: Run, session: Session, backup: string, sizes: Stored): Promise<number> {
  log.info('Calling pg_stop_backup()');
  const sql = 'select labelfile, spcmapfile, lsn from pg_backup_stop()';
  const [row] = await session.query(sql).catch(error => fatal(`UploadLabelFiles: failed to stop backup: ${error.message}`));
  const [label = '', map = '', lsn = ''] = row!;
  const dir = scratch();
  writeFileSync(join(dir, 'backup_label'), label);
  writeFileSync(join(dir, 'tablespace_map'), map);
  await storeTar(run, backup, 'backup_label', dir, ['backup_label', 'tablespace_map'], sizes);
  return parseLsn(lsn);
}

async function warnOfArchive(session: Session): Promise<void> {
  const [[mode = ''] = []] = await session.query("select setting from pg_settings where name = 'archive_mode'");
  const advice = 'This may cause inconsistent backups. Please consider configuring WAL archiving.';
  if (mode !== 'on' && mode !== 'always') log.warning(`archive_mode is not enabled. ${advice}`);
}

/** `backup-push DATADIR`: reads the files of a running server, as the account that owns them, and can make deltas. */
export async function pushLocal(run: Run, session: Session, info: ServerInfo, started: number): Promise<void> {
  const { args, folder } = run;
  checkPlace(args.rest[0]!, info);
  if (args.has('full')) log.info('Doing full backup.');
  const base = args.has('full') ? undefined : await chooseBase(run);
  const { backup, lsn: startLsn } = await start(session, base, info);
  await warnOfArchive(session);
  log.info('Starting a new tar bundle');
  log.info('Walking ...');
  const root = real(info.dataDir);
  const { items, spec } = walkData(root);
  const sizes = nothingStored();
  log.info('Packing ...');
  await storeParts(run, backup, root, [items], base, sizes);
  await storeTar(run, backup, 'pg_control', root, ['global/pg_control'], sizes);
  const finishLsn = await stop(run, session, backup, sizes);
  if (base && args.has('permanent')) await mark(folder, base.name, true);
  const catalogSize = items.reduce((sum, { size }) => sum + size, 0);
  await commit(
    run,
    { backup, started, startLsn, finishLsn, info, spec, base, catalogSize, userData: userData(args.value('add-user-data')) },
    sizes,
  );
}
