import { type Args, wants } from './args.ts';
import { details } from './backup.ts';
import { hasFault } from './faults.ts';
import { historyOf, type Switch, segmentSet, segmentsOf, walNames } from './history.ts';
import { table } from './list.ts';
import { fatal, log } from './log.ts';
import { openSession, readTimeline } from './postgres.ts';
import type { Run } from './run.ts';
import { type Scanned, scan } from './scan.ts';
import { firstSegment, parseLsn, type Segment, segmentAt, segmentName, withoutExtension } from './segment.ts';

interface Range {
  timeline_id: number;
  start_segment: string;
  end_segment: string;
  segments_count: number;
  status: string;
}

type Result = { status: 'OK' | 'WARNING' | 'FAILURE'; details: unknown };

/** The segment that the server, or `--timeline` with `--lsn`, is at. */
async function current({ args, settings }: Run): Promise<Segment> {
  const [lsn, timeline] = [args.value('lsn'), args.value('timeline')];
  if (!lsn !== !timeline) fatal('"--lsn" flag works only in conjunction with the "--timeline" flag');
  if (lsn) return segmentAt(Number(timeline), parseLsn(lsn) - 1);
  const session = await openSession(settings);
  const id = await readTimeline(session);
  const sql = 'select case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end';
  const [[now = ''] = []] = await session.query(sql);
  session.end();
  const segment = segmentAt(id, parseLsn(now) - 1);
  log.info(`Current WAL segment: ${segmentName(segment)}`);
  return segment;
}

/** The segment of the oldest backup that is not permanent, and on this timeline or one before it; undefined when there is none. */
async function oldest({ folder, args }: Run, timeline: number, switches: readonly Switch[]): Promise<number | undefined> {
  const wanted = args.value('backup-name');
  const all = (await details(folder)).filter(({ backup_name, is_permanent }) => (wanted ? backup_name === wanted : !is_permanent));
  if (wanted && all.length === 0) fatal(`Failed to build check runner integrity: Backup with specified name "${wanted}" was not found`);
  const reachable = all
    .map(({ wal_file_name }) => firstSegment(wal_file_name)!)
    .filter(segment => switches.length === 0 || segment.timeline === timeline || isBefore(segment, switches));
  return reachable.length === 0 ? undefined : Math.min(...reachable.map(({ number }) => number));
}

const isBefore = (segment: Segment, switches: readonly Switch[]): boolean =>
  switches.some(({ timeline, lsn }) => timeline === segment.timeline && segment.number < segmentAt(0, lsn).number);

function ranges(scanned: readonly Scanned[]): Range[] {
  const all: Range[] = [];
  for (const segment of scanned) {
    const last = all.at(-1);
    const name = segmentName(segment);
    if (last && last.status === segment.status && last.timeline_id === segment.timeline) {
      last.end_segment = name;
      last.segments_count += 1;
    } else all.push({ timeline_id: segment.timeline, start_segment: name, end_segment: name, segments_count: 1, status: segment.status });
  }
  return all;
}

/** Without any backup, what is missing before the first segment found is only a warning. */
function verdict(all: readonly Range[], noBackups: boolean): Result['status'] {
  const from = noBackups ? all.findIndex(({ status }) => status === 'FOUND') : 0;
  if (all.some(({ status }, at) => status === 'MISSING_LOST' && at >= from && from >= 0)) return 'FAILURE';
  return all.every(({ status }) => status === 'FOUND') ? 'OK' : 'WARNING';
}

async function integrity(run: Run, names: readonly string[], at: Segment): Promise<Result> {
  const history = await historyOf(run.folder, run.codec, at.timeline);
  const first = await oldest(run, at.timeline, history);
  if (first === undefined)
    log.warning(
      "Failed to detect earliest backup WAL segment no: 'No backups found', will scan until the 0000000X0000000000000001 segment.",
    );
  const switches = new Map(history.map(({ timeline, lsn }) => [segmentAt(0, lsn).number, timeline]));
  const ground = { has: segmentSet(segmentsOf(names)), switches, stop: first ?? 1 };
  const width = (name: string) => run.settings.number(name, 0);
  const all = ranges(scan(at, ground, width('WALG_INTEGRITY_MAX_DELAYED_WALS'), width('WALG_UPLOAD_CONCURRENCY')));
  return { status: hasFault('verify-failure') ? 'FAILURE' : verdict(all, first === undefined), details: all.length > 0 ? all : null };
}

function timeline(names: readonly string[], at: Segment): Result {
  const ids = names.map(withoutExtension).map(name => /^([0-9A-F]{8})([0-9A-F]{16}|\.history)$/.exec(name)?.[1]);
  const highest = Math.max(0, ...ids.map(id => Number.parseInt(id ?? '0', 16)));
  const status = hasFault('verify-failure') ? 'FAILURE' : highest === 0 ? 'WARNING' : highest === at.timeline ? 'OK' : 'FAILURE';
  return { status, details: { current_timeline_id: at.timeline, highest_storage_timeline_id: highest } };
}

const plainly = (name: string, { status, details: found }: Result): string => {
  const body = Array.isArray(found)
    ? table(found.map(row => Object.fromEntries(Object.entries(row as Range).map(([k, v]) => [k, String(v)]))))
    : JSON.stringify(found);
  return `[wal-verify] ${name} check status: ${status}\n[wal-verify] ${name} check details:\n${body}\n`;
};

function checksOf(args: Args): string[] {
  const stranger = args.rest.find(name => name !== 'integrity' && name !== 'timeline');
  if (stranger) fatal(`invalid check specified: ${stranger}`);
  wants(args, 1, 2);
  return [...new Set(args.rest)].sort();
}

/** `wal-verify integrity timeline [--json]`: the exit code is 0 whatever it finds. */
export async function walVerify(run: Run): Promise<void> {
  const checks = checksOf(run.args);
  const at = await current(run);
  const names = await walNames(run.folder);
  const results: Record<string, Result> = {};
  for (const check of checks) {
    log.info(`Building check runner: ${check}`);
    log.info(`Running the check: ${check}`);
    results[check] = check === 'integrity' ? await integrity(run, names, at) : timeline(names, at);
  }
  const text = () =>
    Object.entries(results)
      .map(([name, result]) => plainly(name, result))
      .join('');
  process.stdout.write(run.args.has('json') ? JSON.stringify(results) : text());
}
