import { begin, endOf, pgTool } from './child.ts';
import { fatal, log } from './log.ts';
import { segmentBytes } from './segment.ts';
import type { Settings } from './settings.ts';

/** One connection. */
export interface Session {
  /** Rows of fields as text. @throws Error with the server's words */
  query(sql: string): Promise<string[][]>;
  end(): void;
}

const MARK = 'stub-end-of-answer';

const FIELD = '\x1f';
const RECORD = '\x1e';

const rowsOf = (text: string): string[][] => (text === '' ? [] : text.split(RECORD).map(row => row.split(FIELD)));

/** psql with its standard input open: what begins a backup has to be there at its end. @throws Error with psql's words */
async function connect(env: Record<string, string>): Promise<Session> {
  const args = ['-XqAt', '-F', FIELD, '-R', RECORD, '-v', 'ON_ERROR_STOP=1', '-f', '-'];
  const child = begin(pgTool('psql'), args, { env: { ...process.env, PGAPPNAME: 'wal-g', ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = endOf(child);
  let held = '';
  let heard = () => {};
  child.stdout!.setEncoding('utf8').on('data', text => {
    held += text;
    heard();
  });
  child.stdin!.on('error', () => {});
  const answer = new RegExp(`^([\\s\\S]*?)\\n?${MARK}\\n`);
  const query = (sql: string): Promise<string[][]> =>
    new Promise((resolve, reject) => {
      ended.then(({ stderr }) => reject(new Error(stderr.trim().replace(/^psql:<stdin>:\d+: /gm, ''))), reject);
      heard = () => {
        const found = answer.exec(held);
        if (!found) return;
        held = held.slice(found[0].length);
        resolve(rowsOf(found[1]!.replace(/\n$/, '')));
      };
      child.stdin!.write(`${sql};\n\\echo '${MARK}'\n`);
    });
  const session = { query, end: () => void child.stdin!.end() };
  await session.query('select 1');
  return session;
}

/** Where WAL-G looks when it cannot connect: localhost:5432. WALG_STUB_LOCALHOST (`host:port`) puts another server there. */
function fallback(): Record<string, string> {
  const [PGHOST = '', PGPORT = ''] = (process.env['WALG_STUB_LOCALHOST'] || '127.0.0.1:5432').split(':');
  return { PGHOST, PGPORT };
}

/**
 * Connects as PGHOST, PGPORT and the rest say and, when that fails for whatever reason, to localhost:5432, with the same user.
 * @throws Fatal
 */
export async function openSession(settings: Settings): Promise<Session> {
  const env = settings.libpq();
  try {
    return await connect(env);
  } catch (first) {
    if (env['PGHOST'] === 'localhost') return fatal(`Connect: postgres connection failed: ${(first as Error).message}`);
    log.error((first as Error).message);
    log.error('Failed to connect using provided PGHOST and PGPORT, trying localhost:5432');
    return connect({ ...env, ...fallback() }).catch(error => fatal(`Connect: postgres connection failed: ${error.message}`));
  }
}

export interface ServerInfo {
  dataDir: string;
  /** e.g. 150018 */
  version: number;
  /** Unsigned, as text: it does not fit a double. */
  systemIdentifier: string;
  timeline: number;
}

const one = async (session: Session, sql: string): Promise<string> =>
  (await session.query(sql).catch(error => fatal(error.message)))[0]?.[0] ?? '';

/** The timeline at the last checkpoint. @throws Fatal where segments are of another size than WALG_PG_WAL_SIZE says */
export async function readTimeline(session: Session): Promise<number> {
  const size = Number(await one(session, 'select bytes_per_wal_segment from pg_control_init()'));
  if (size !== segmentBytes())
    fatal('bytes_per_wal_segment of the server does not match expected value, you may need to set WALG_PG_WAL_SIZE');
  return Number(await one(session, 'select timeline_id from pg_control_checkpoint()'));
}

/** What WAL-G asks before a backup. Reading data_directory takes a superuser or pg_read_all_settings. @throws Fatal */
export async function serverInfo(session: Session): Promise<ServerInfo> {
  const dataDir = await one(session, 'show data_directory');
  const version = Number(await one(session, "select current_setting('server_version_num')"));
  const identifier = BigInt(await one(session, 'select system_identifier from pg_control_system()'));
  return { dataDir, version, systemIdentifier: BigInt.asUintN(64, identifier).toString(), timeline: await readTimeline(session) };
}
