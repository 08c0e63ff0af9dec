import { createHash, type Hash } from 'node:crypto';
import type { Bytes, CaptureOptions, Command, Facts, Piece, TargetContext, WalRange } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { lastSegment } from '../../../core/postgres/apart.ts';
import { formatLsn, parseLsn, segmentAt, segmentName } from '../../../core/postgres/lsn.ts';
import { checkMember, TarScan } from '../../../flow/tarScan.ts';
import { refuseApart } from './apart.ts';
import { baseline } from './baseline.ts';
import { shortHash } from './chunks.ts';
import type { PostgresConfig } from './config.ts';
import { type Decided, fellBack, type Increment, incrementFor, incrementsOf, ownPiece } from './increment.ts';
import { lineageFor } from './lineage.ts';
import { type Live, liveState, refuseStandby } from './live.ts';
import { scratchBase } from './scratchBase.ts';
import { storeHistory } from './serverPath.ts';
import { holdWal } from './slot.ts';
import { connectionEnv, sql } from './sql.ts';
import { clientTools, type Tools } from './tools.ts';
import { WholeSizes } from './wholeSizes.ts';

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

/** pg_basebackup 15 leaves what is in them out of its archive, and says nothing; 18 makes archives of their own of them. */
function refuseInPlace({ name }: Context, { inPlace }: Live): void {
  if (inPlace.length === 0) return;
  throw new BkpError(
    'refused',
    `postgres/${name}: tablespace ${inPlace.join(', ')} lies in pg_tblspc itself (allow_in_place_tablespaces, for tests of PostgreSQL), which no base backup holds`,
    {
      next: ['ALTER TABLE ALL IN TABLESPACE … SET TABLESPACE pg_default; DROP TABLESPACE …', 'or make it anew with a LOCATION of its own'],
    },
  );
}

function refuseUnfit(ctx: Context, live: Live): void {
  const who = `postgres/${ctx.name}`;
  if (live.walLevel === 'minimal') {
    throw new BkpError('refused', `${who}: wal_level is minimal, from which no backup can be rolled forward`, {
      next: "ALTER SYSTEM SET wal_level = 'replica'; then restart the server",
    });
  }
  refuseInPlace(ctx, live);
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

/** One run of pg_basebackup: what it says, what its archives hold, and its backup_manifest where the next backup is to build on it. */
interface Taking {
  command: Command;
  said: Said;
  members: Map<string, number>;
  /** Bytes that members of an increment stand for beyond what they hold. */
  whole: WholeSizes;
  /** Of its segments of WAL, by name. */
  hashes: Map<string, Hash>;
  /** Present when the backup_manifest is to be kept. */
  manifest?: Buffer[];
}

const ARGS = ['-Ft', '-X', 'fetch', '--checkpoint=fast', '--manifest-checksums=SHA256', '--progress', '--verbose', '--no-password'];

function taking(ctx: Context, tools: Tools, id: string, increment: Increment | undefined): Taking {
  const args = [...ARGS, `--label=bkp ${id}`, ...(increment ? [`--incremental=${increment.manifest}`] : [])];
  const command = { file: tools.path('pg_basebackup'), args, env: connectionEnv(ctx.config) };
  const kept = incrementsOf(ctx.config) ? { manifest: [] } : {};
  return { command, said: { warnings: [] }, members: new Map(), whole: new WholeSizes(), hashes: new Map(), ...kept };
}

/** Straight from stdout, as soon as the server has begun to send: what it refuses, it refuses before. */
async function* straight(ctx: Context, take: Taking): AsyncGenerator<Piece> {
  const command = { ...take.command, args: ['-D', '-', ...take.command.args] };
  const { out, done } = ctx.run.pipeline([command], { signal: ctx.signal, onStderr: (_, line) => listen(take.said, line) });
  try {
    const chunks = out[Symbol.asyncIterator]();
    const first = await chunks.next();
    yield { name: 'base.tar', bytes: watched(rest(first, chunks), take.members, take, ctx) };
    await done;
  } finally {
    // Cut short from outside, pg_basebackup would wait for ever for somebody to read on.
    out.destroy();
  }
}

async function* rest(first: IteratorResult<Uint8Array>, chunks: AsyncIterator<Uint8Array>): Bytes {
  for (let next = first; !next.done; next = await chunks.next()) yield next.value;
}

const piecesOf = (ctx: Context, take: Taking, live: Live): AsyncGenerator<Piece> =>
  live.tablespaces.length > 0 ? spread(ctx, take, live) : straight(ctx, take);

/** Takes an increment where one can begin, else a full one, which says why. @returns what was taken */
async function* increments(
  ctx: Context,
  tools: Tools,
  live: Live,
  decided: Decided,
  options: CaptureOptions,
): AsyncGenerator<Piece, { take: Taking; increment?: Increment }> {
  const { increment, warnings } = decided;
  if (increment) {
    const take = taking(ctx, tools, options.id, increment);
    const pieces = piecesOf(ctx, take, live);
    const first = await pieces.next().catch(error => {
      ctx.signal.throwIfAborted();
      warnings.push(fellBack(sentence(error)));
    });
    if (first) {
      await options.pin(increment.parent.id);
      yield first.value;
      yield* pieces;
      return { take, increment };
    }
  }
  const take = taking(ctx, tools, options.id, undefined);
  yield* piecesOf(ctx, take, live);
  return { take };
}

/**
 * Takes a base backup as one tar stream with its own WAL (`-X fetch`), so that it restores by itself; an incremental one, where that is due,
 * restores with those that it builds on.
 * @throws BkpError('refused') before the first byte when the cluster is foreign or unfit; 'failed' when pg_basebackup did not end with 0 or the archive is not whole
 */
export async function* capture(ctx: Context, options: CaptureOptions): AsyncGenerator<Piece, Facts> {
  const live = await liveState(ctx);
  refuseStandby(ctx, live);
  refuseUnfit(ctx, live);
  const tools = await clientTools(ctx, Math.floor(live.versionNum / 10000));
  const lineage = await lineageFor(ctx, live, options.newLineage);
  await storeHistory(ctx, lineage);
  const decided = await incrementFor(ctx, live, lineage, options);
  const release = await holdWal(ctx, live);
  let taken: { take: Taking; increment?: Increment };
  try {
    taken = yield* increments(ctx, tools, live, decided, options);
  } finally {
    await release();
  }
  const { said, members, manifest, whole } = taken.take;
  refuseIncomplete(ctx, said, live, members);
  const wal = rangeOf(said, live, taken.take);
  await refuseApart(ctx, options.id, lineage, wal);
  if (manifest) yield await ownPiece(ctx, options.id, Buffer.concat(manifest));
  const at = new Date(await sql(ctx, 'select to_char(clock_timestamp() at time zone \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')'));
  const seen = await baseline(ctx);
  return {
    identity: { systemIdentifier: live.systemIdentifier },
    at,
    lineage,
    wal,
    ...(live.tablespaces.length > 0 ? { tablespaces: live.tablespaces } : {}),
    needs: taken.increment?.needs ?? [],
    contentBytes: contentOf(members) + whole.beyond,
    baseline: seen,
    versions: { server: live.version, client: String(tools.major), superuser: live.superuser },
    notCovered: ['server configuration outside the data directory', 'WAL after the end of this backup (kept by stream or archive_command)'],
    warnings: [...decided.warnings, ...said.warnings],
  };
}

function rangeOf(said: Required<Said>, { segmentBytes }: Live, { hashes }: Taking): WalRange {
  const last = lastSegment({ timeline: said.timeline, to: said.to, segmentBytes });
  const hash = shortHash(hashes.get(last)!.digest('hex'));
  return { timeline: said.timeline, from: formatLsn(said.from), to: formatLsn(said.to), segmentBytes, hash };
}

/** A cluster with tablespaces, as one piece for each tar. What is in them does not count as in the data directory. */
async function* spread(ctx: Context, take: Taking, live: Live): AsyncGenerator<Piece & { bytes: Bytes }> {
  const { command, said, members, manifest } = take;
  for await (const { name, bytes } of scratchBase(ctx, command, live.tablespaces, line => listen(said, line))) {
    if (name === 'backup_manifest') {
      members.set(name, 0);
      yield { name, bytes: manifest ? remembered(bytes, manifest) : bytes };
      continue;
    }
    const own = new Map<string, number>();
    yield { name, bytes: watched(bytes, own, take, ctx) };
    const within = name === 'base.tar' ? '' : `${name}/`;
    for (const [member, size] of own) members.set(`${within}${member}`, size);
  }
}

async function* remembered(bytes: Bytes, into: Buffer[]): Bytes {
  for await (const chunk of bytes) {
    into.push(Buffer.from(chunk));
    yield chunk;
  }
}

/** WAL comes along (`-X fetch`), as much of it as the server happens to keep. */
const contentOf = (members: ReadonlyMap<string, number>): number =>
  [...members].reduce((sum, [name, bytes]) => sum + (name.startsWith('pg_wal/') ? 0 : bytes), 0);

async function* watched(source: Bytes, members: Map<string, number>, { whole, manifest, hashes }: Taking, ctx: Context): Bytes {
  let inManifest = false;
  let hash: Hash | undefined;
  const scan = new TarScan(
    member => {
      checkMember(member);
      members.set(member.name.replace(/^\.\//, ''), member.bytes);
      whole.member(member);
      inManifest = member.name === 'backup_manifest';
      const [, segment] = /^pg_wal\/([0-9A-F]{24})$/.exec(member.name) ?? [];
      hash = segment === undefined ? undefined : createHash('sha256');
      if (segment !== undefined && hash) hashes.set(segment, hash);
    },
    () => false,
    bytes => {
      whole.bytes(bytes);
      hash?.update(bytes);
      if (inManifest) manifest?.push(Buffer.from(bytes));
    },
  );
  for await (const chunk of source) {
    scan.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    yield chunk;
  }
  if (!scan.ended) throw new BkpError('failed', `postgres/${ctx.name}: pg_basebackup's archive is cut short: its end mark is missing`);
}
