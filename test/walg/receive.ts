import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wants } from './args.ts';
import { begin, endOf, pgTool } from './child.ts';
import { fatal, log } from './log.ts';
import { openSession, readTimeline, type Session } from './postgres.ts';
import type { Run } from './run.ts';
import { scratch } from './scratch.ts';
import { lsnText, parseLsn, parseSegment, segmentAt, segmentBytes, segmentName } from './segment.ts';
import { storeWal } from './wal.ts';

const TICK = 100;

/** WAL-G's slot: where it stands, made when it is not there. It outlives the receiver. */
async function slot(session: Session, name: string): Promise<number> {
  if (!/^\w{1,63}$/.test(name)) fatal(`Slot name (${name}) can only contain 1-63 word characters ([0-9A-Za-z_])`);
  const sql = `select restart_lsn from pg_replication_slots where slot_name = '${name}'`;
  const [found] = await session.query(sql).catch(error => fatal(error.message));
  if (!found) {
    log.info('Trying to create the replication slot');
    await session.query(`select pg_create_physical_replication_slot('${name}', true)`).catch(error => fatal(error.message));
  }
  const [[lsn = ''] = []] = await session.query(sql);
  return parseLsn(lsn);
}

/**
 * pg_receivewal begins anew the segment that its directory holds in part: that of `lsn`. A whole one before it would not do for
 * a new cluster, since segment 0 counts for nothing there and what was written meanwhile would be passed over.
 */
function seed(spool: string, timeline: number, lsn: number): void {
  mkdirSync(spool);
  writeFileSync(join(spool, `${segmentName(segmentAt(timeline, lsn))}.partial`), '');
}

const wholeAfter = (spool: string, last: string): string[] =>
  readdirSync(spool)
    .filter(name => (/^[0-9A-F]{24}$/.test(name) && name > last) || /^[0-9A-F]{8}\.history$/.test(name))
    .sort();

/** Archives what is whole, and moves the slot behind it. The newest segment stays in the spool: pg_receivewal looks for it. */
async function ship(
  run: Run,
  session: Session,
  spool: string,
  name: string,
  state: { last: string; histories: Set<string> },
): Promise<void> {
  for (const file of wholeAfter(spool, state.last)) {
    if (state.histories.has(file)) continue;
    await storeWal(run, join(spool, file));
    const segment = parseSegment(file);
    if (!segment) {
      state.histories.add(file);
      continue;
    }
    if (state.last) rmSync(join(spool, state.last), { force: true });
    state.last = file;
    await session.query(`select pg_replication_slot_advance('${name}', '${lsnText((segment.number + 1) * segmentBytes())}')`);
  }
}

/**
 * `wal-receive`: ships whole segments only. WAL-G holds its slot while it runs; this one moves it after each segment that is stored,
 * which loses as little, and the slot looks inactive meanwhile.
 */
export async function walReceive(run: Run): Promise<void> {
  wants(run.args, 0);
  const name = run.settings.get('WALG_SLOTNAME')!;
  const session = await openSession(run.settings);
  const timeline = await readTimeline(session);
  const lsn = await slot(session, name);
  const spool = join(scratch(), 'spool');
  seed(spool, timeline, lsn);
  const before = segmentAt(timeline, lsn);
  const state = { last: segmentName({ ...before, number: before.number - 1 }), histories: new Set<string>() };
  const env = { ...process.env, PGAPPNAME: 'wal-g', ...run.settings.libpq() };
  const child = begin(pgTool('pg_receivewal'), ['-D', spool, '--no-loop', '--no-password', '--synchronous'], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = endOf(child);
  for (let running = true; running; ) {
    running = await Promise.race([ended.then(() => false), new Promise<boolean>(resolve => setTimeout(resolve, TICK, true))]);
    await ship(run, session, spool, name, state);
  }
  fatal((await ended).stderr.trim());
}
