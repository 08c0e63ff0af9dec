import { type Args, wants } from './args.ts';
import { type Detail, details, type Listed, listBackups } from './backup.ts';
import { hasFault } from './faults.ts';
import type { Folder } from './folder.ts';
import { digits } from './json.ts';
import { goTimeShort, log } from './log.ts';
import { lsnText } from './segment.ts';

type Row = Record<string, string>;

const plainRow = (one: Listed): Row => ({
  backup_name: one.backup_name,
  modified: goTimeShort(one.time),
  wal_file_name: one.wal_file_name,
  storage_name: one.storage_name,
});

const detailRow = (one: Detail): Row => ({
  ...plainRow(one),
  start_time: goTimeShort(one.start_time),
  finish_time: goTimeShort(one.finish_time),
  hostname: one.hostname,
  data_dir: one.data_dir,
  pg_version: String(one.pg_version),
  start_lsn: lsnText(one.start_lsn),
  finish_lsn: lsnText(one.finish_lsn),
  is_permanent: String(one.is_permanent),
});

/** Columns as wide as their widest field, parted by a blank. */
export function table(rows: readonly Row[]): string {
  const names = Object.keys(rows[0] ?? {});
  const lines = [names, ...rows.map(row => names.map(name => row[name]!))];
  const widths = names.map((_, column) => Math.max(...lines.map(line => line[column]!.length)));
  return lines
    .map(line => `${line.map((field, column) => (column < names.length - 1 ? field.padEnd(widths[column]!) : field)).join(' ')}\n`)
    .join('');
}

/** The second, the fourth and so on, and then the others: neither end is where it should be. */
const shuffled = <T>(all: T[]): T[] => [...all.filter((_, at) => at % 2 === 1), ...all.filter((_, at) => at % 2 === 0)];

function misled<T extends Listed>(all: T[]): T[] {
  const ordered = hasFault('shuffled-list') ? shuffled(all) : all;
  return hasFault('wrong-system-identifier') ? ordered.map(one => ({ ...one, system_identifier: digits('7000000000000000001') })) : ordered;
}

/** `backup-list [--detail] [--json] [--pretty]` */
export async function backupList(folder: Folder, args: Args): Promise<void> {
  wants(args, 0);
  log.info('List backups from storages: [default]');
  const byTime = (await listBackups(folder)).sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
  if (byTime.length === 0 && !args.has('json')) log.info('No backups found');
  const detailed = args.has('detail') ? misled(await details(folder)) : undefined;
  const all = detailed ?? misled(byTime);
  if (args.has('json')) process.stdout.write(`${JSON.stringify(all, undefined, args.has('pretty') ? 4 : undefined)}\n`);
  else if (all.length > 0) process.stdout.write(table(detailed ? detailed.map(detailRow) : all.map(plainRow)));
}
