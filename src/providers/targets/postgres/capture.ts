import type { Readable } from 'node:stream';
import type { Bytes, CaptureOptions, Command, Facts, Piece, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { formatLsn, parseLsn, segmentAt, segmentName } from '../../../core/postgres/lsn.ts';
import { checkMember, TarScan } from '../../../flow/tarScan.ts';
import { baseline } from './baseline.ts';
import type { PostgresConfig } from './config.ts';
import { lineageFor } from './lineage.ts';
import { type Live, liveState, refuseStandby } from './live.ts';
import { scratchBase } from './scratchBase.ts';
import { storeHistory } from './serverPath.ts';
import { holdWal } from './slot.ts';
import { connectionEnv, sql } from './sql.ts';
import { clientTools } from './tools.ts';

type Context = TargetContext<PostgresConfig>;

/** What pg_basebackup says on stderr with --verbose (tried on 15.20 and 18.6). */
interface Said {
  from?: bigint;
  to?: bigint;
  timeline?: number;
  total?: number;
  warnings: string[];
}

/**
 * Whether a line of stderr is a message of the server that somebody should read. Ours is English by LC_ALL, and what the server says is in the
 * language of its lc_messages, which only a superuser may change for a session. The client writes it as severity, colon, two spaces and the
 * text, so it is known by its form, and what is known to be harmless is left out.
 */
export const isServersWarning = (line: string): boolean =>
  /^\S+\s?: {2}\S/.test(line) && !/^(pg_\w+|NOTICE|INFO|LOG|DEBUG\d?|DETAIL|HINT|CONTEXT): {2}/.test(line);

function listen(said: Said, line: string): void {
  const start = /start point: ([0-9A-F]+\/[0-9A-F]+) on timeline (\d+)/.exec(line);
  if (start) Object.assign(said, { from: parseLsn(start[1]!), timeline: Number(start[2]) });
  const end = /end point: ([0-9A-F]+\/[0-9A-F]+)/.exec(line);
  if (end) said.to = parseLsn(end[1]!);
  const total = /^\s*\d+\/(\d+) kB/.exec(line);
  if (total) said.total = Number(total[1]) * 1024;
  if (isServersWarning(line)) said.warnings.push(line.trim());
}

function refuseUnfit(ctx: Context, live: Live): void {
  const who = `postgres/${ctx.name}`;
  if (live.walLevel === 'minimal') {
    throw new BkpError('refused', `${who}: wal_level is minimal, from which no backup can be rolled forward`, {
      next: "ALTER SYSTEM SET wal_level = 'replica'; then restart the server",
    });
  }
}

/** Every segment from the backup's start to its end has to be inside it, whole (PG20). */
function refuseIncomplete(ctx: Context, said: Said, live: Live, members: ReadonlyMap<string, number>): asserts said is Required<Said> {
  if (said.from === undefined || said.to === undefined || said.timeline === undefined) {
    throw new BkpError('failed', `postgres/${ctx.name}: pg_basebackup did not say where the backup starts and ends`, {
      next: 'run bkp doctor postgres: the client may be of an untried version',
    });
  }
  const last = segmentAt(said.to - 1n, live.segmentBytes);
  for (let number = segmentAt(said.from, live.segmentBytes); number <= last; number += 1) {
    const name = segmentName({ timeline: said.timeline, number }, live.segmentBytes);
    if (members.get(`pg_wal/${name}`) !== live.segmentBytes) {
      throw new BkpError('failed', `postgres/${ctx.name}: the backup lacks WAL segment ${name}, without which it cannot be restored`, {
        next: 'run it again; if it happens again, raise wal_keep_size',
      });
    }
  }
  for (const name of ['PG_VERSION', 'global/pg_control', 'backup_label', 'backup_manifest']) {
    if (!members.has(name)) throw new BkpError('failed', `postgres/${ctx.name}: the backup lacks ${name}: it is no whole data directory`);
  }
}

/**
 * Takes a base backup as one tar stream with its own WAL (`-X fetch`), so that it restores by itself.
 * @throws BkpError('refused') before the first byte when the cluster is foreign or unfit; 'failed' when pg_basebackup did not end with 0 or the archive is not whole
 */
export async function* capture(ctx: Context, options: CaptureOptions): AsyncGenerator<Piece, Facts> {
  const live = await liveState(ctx);
  refuseStandby(ctx, live);
  refuseUnfit(ctx, live);
  const tools = await clientTools(ctx, Math.floor(live.versionNum / 10000));
  const lineage = await lineageFor(ctx, live, options.newLineage);
  await storeHistory(ctx, lineage);
  const release = await holdWal(ctx, live);
  const said: Said = { warnings: [] };
  const members = new Map<string, number>();
  let running: Readable | undefined;
  try {
    const args = [
      '-Ft',
      '-X',
      'fetch',
      '--checkpoint=fast',
      `--label=bkp ${options.id}`,
      '--manifest-checksums=SHA256',
      '--progress',
      '--verbose',
      '--no-password',
    ];
    const command = { file: tools.path('pg_basebackup'), args, env: connectionEnv(ctx.config) };
    if (live.tablespaces.length > 0) yield* spread(ctx, command, live, said, members);
    else {
      const { out, done } = ctx.run.pipeline([{ ...command, args: ['-D', '-', ...args] }], {
        signal: ctx.signal,
        onStderr: (_, line) => listen(said, line),
      });
      running = out;
      yield { name: 'base.tar', bytes: watched(out, members, ctx) };
      await done;
    }
  } finally {
    // Cut short from outside, pg_basebackup would wait for ever for somebody to read on.
    running?.destroy();
    await release();
  }
  refuseIncomplete(ctx, said, live, members);
  const at = new Date(await sql(ctx, 'select to_char(clock_timestamp() at time zone \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')'));
  const seen = await baseline(ctx);
  return {
    identity: { systemIdentifier: live.systemIdentifier },
    at,
    lineage,
    wal: { timeline: said.timeline, from: formatLsn(said.from), to: formatLsn(said.to), segmentBytes: live.segmentBytes },
    ...(live.tablespaces.length > 0 ? { tablespaces: live.tablespaces } : {}),
    needs: [],
    contentBytes: contentOf(members),
    baseline: seen,
    versions: { server: live.version, client: String(tools.major), superuser: live.superuser },
    notCovered: ['server configuration outside the data directory', 'WAL after the end of this backup (kept by stream or archive_command)'],
    warnings: said.warnings,
  };
}

/** A cluster with tablespaces, as one piece for each tar. What is in them does not count as in the data directory. */
async function* spread(
  ctx: Context,
  command: Command,
  live: Live,
  said: Said,
  members: Map<string, number>,
): AsyncGenerator<Piece & { bytes: Bytes }> {
  for await (const { name, bytes } of scratchBase(ctx, command, live.tablespaces, line => listen(said, line))) {
    if (name === 'backup_manifest') {
      members.set(name, 0);
      yield { name, bytes };
      continue;
    }
    const own = new Map<string, number>();
    yield { name, bytes: watched(bytes, own, ctx) };
    const within = name === 'base.tar' ? '' : `${name}/`;
    for (const [member, size] of own) members.set(`${within}${member}`, size);
  }
}

/** WAL comes along (`-X fetch`), as much of it as the server happens to keep. */
const contentOf = (members: ReadonlyMap<string, number>): number =>
  [...members].reduce((sum, [name, bytes]) => sum + (name.startsWith('pg_wal/') ? 0 : bytes), 0);

async function* watched(source: Bytes, members: Map<string, number>, ctx: Context): Bytes {
  const scan = new TarScan(member => {
    checkMember(member);
    members.set(member.name.replace(/^\.\//, ''), member.bytes);
  });
  for await (const chunk of source) {
    scan.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    yield chunk;
  }
  if (!scan.ended) throw new BkpError('failed', `postgres/${ctx.name}: pg_basebackup's archive is cut short: its end mark is missing`);
}
