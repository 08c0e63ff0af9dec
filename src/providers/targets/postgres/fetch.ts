import type { TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { knownTo } from '../../../core/postgres/chunks.ts';
import { pathTo } from '../../../core/postgres/history.ts';
import { parseSegment, segmentStart } from '../../../core/postgres/lsn.ts';
import { newestTimeline } from '../../../core/postgres/resume.ts';
import { archiveOf, type Holdings, holdingsOf, readFirstWhole } from './archive.ts';
import { type Chunk, readChunk, readOpen } from './chunks.ts';
import type { PostgresConfig } from './config.ts';
import { currentOf, knownLineages } from './lineage.ts';
import { checkName, identityOf } from './log.ts';

type Context = TargetContext<PostgresConfig>;

/** The lineage into which the cluster of a data directory archives. Throws BkpError('notFound') when no store has any. */
export async function lineageOf(ctx: Context, dataDir: string): Promise<string> {
  const identity = await identityOf(dataDir);
  const lineage = currentOf([...(await knownLineages(ctx)).values()], identity)?.lineage;
  if (lineage) return lineage;
  throw new BkpError('notFound', `postgres/${ctx.name}: no store has WAL of the cluster ${identity.systemIdentifier}`);
}

/**
 * restore_command outside a restore of bkp (a standby that catches up): the plain bytes of a file of the newest lineage of this cluster. The
 * segment with which the archive ends may be there in chunks: it is padded with zeros, which PostgreSQL takes for its end.
 * @returns undefined only when every WAL store answered, none has the file, and none lists a later segment of its timeline
 * @throws BkpError for everything else; the caller ends with 255, so that PostgreSQL stops instead of promoting at a hole
 */
export async function fetch(ctx: Context, name: string, dataDir: string): Promise<Buffer | undefined> {
  checkName(ctx, name);
  return fetchFrom(ctx, await lineageOf(ctx, dataDir), name);
}

/** As `fetch`, in a lineage that is known. */
export async function fetchFrom(ctx: Context, lineage: string, name: string): Promise<Buffer | undefined> {
  const copies = (await holdingsOf(ctx, lineage, name)).copies.get(name);
  if (copies) return readFirstWhole(ctx, lineage, copies);
  const held = await holdingsOf(ctx, lineage, name.slice(0, 8));
  const stored = held.copies.get(name);
  if (stored) return readFirstWhole(ctx, lineage, stored);
  const chunks = held.chunks.get(name);
  if (!chunks || knownTo(chunks) === 0) return refuseHole(held, name);
  return fromChunks(ctx, lineage, name, chunks, held);
}

/** A segment of which every byte is there is as good as a whole one; the beginning of one is handed out at the end of the archive only. */
async function fromChunks(ctx: Context, lineage: string, name: string, chunks: readonly Chunk[], held: Holdings): Promise<Buffer> {
  const { segmentBytes } = await readChunk(ctx, lineage, chunks.find(({ from }) => from === 0)!);
  const end = Math.min(knownTo(chunks), segmentBytes);
  if (end < segmentBytes) refuseHole(held, name);
  return readOpen(ctx, lineage, chunks, await cutAtSwitch(ctx, lineage, name, end, segmentBytes), segmentBytes);
}

/** After a failover the old primary may have written on: what lies behind the switch is no part of the newest timeline's history. */
async function cutAtSwitch(ctx: Context, lineage: string, name: string, end: number, segmentBytes: number): Promise<number> {
  const all = await holdingsOf(ctx, lineage);
  const { histories } = await archiveOf(ctx, lineage, all);
  const segment = parseSegment(name, segmentBytes)!;
  const path = pathTo(newestTimeline([...all.copies.keys(), ...all.chunks.keys()]), histories);
  const until = path.find(({ timeline }) => timeline === segment.timeline)?.until;
  const start = segmentStart(segment.number, segmentBytes);
  return until !== undefined && until > start ? Math.min(end, Number(until - start)) : end;
}

/** A file may be called absent, and a segment unfinished, only when every store answered and none has a later segment of its timeline. */
function refuseHole({ copies, chunks, unreachable }: Holdings, name: string): undefined {
  if (unreachable.length > 0) {
    throw new BkpError(
      'storeUnreachable',
      `${name} is in no store that answers, and ${unreachable.map(u => `${u.store} does not: ${u.reason}`).join('; ')}`,
    );
  }
  const isLater = (other: string): boolean => /^[0-9A-F]{24}$/.test(other) && other > name;
  const later = /^[0-9A-F]{24}/.test(name) && [...copies.keys(), ...chunks.keys()].find(isLater);
  if (later) throw new BkpError('verifyFailed', `WAL ${name} is missing in every store although ${later} is there: there is a hole`);
}
