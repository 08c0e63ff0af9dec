import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes, Manifest, PieceRef, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { checkMember, TarScan } from '../../../flow/tarScan.ts';
import type { PostgresConfig } from './config.ts';
import { controlData, type Private } from './private.ts';

type Context = TargetContext<PostgresConfig>;

/** The stream of a base backup. Throws BkpError('verifyFailed') when the manifest names none. */
export function basePiece(manifest: Manifest): PieceRef {
  const piece = manifest.pieces.find(p => p.name === 'base.tar');
  if (!piece || !('objects' in piece))
    throw new BkpError('verifyFailed', `backup ${manifest.id} has no base.tar`, { next: 'restore another one: bkp list postgres' });
  return piece;
}

/** The tar goes through our own eyes first: nothing in it may lead out of the directory. */
async function* watched(source: Bytes): Bytes {
  const scan = new TarScan(checkMember);
  for await (const chunk of source) {
    scan.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    yield chunk;
  }
  if (!scan.ended) throw new BkpError('verifyFailed', 'the base backup is cut short: its end mark is missing');
}

/**
 * Unpacks the tar of a base into the data directory, as its owner.
 * @param bytes of base.tar, plain; its end is read too, since the proof of its hash comes last
 * @throws what `bytes` throws; BkpError('verifyFailed') for a member that leads out, or an archive that is cut; 'failed' when tar fails
 */
export async function extract(ctx: Context, place: Private, bytes: Bytes): Promise<void> {
  const source = watched(bytes)[Symbol.asyncIterator]();
  const { out, done } = ctx.run.pipeline(
    // A MiB at a time: by tar's own 10 KiB it writes a file in a hundred times as many pieces.
    [{ file: 'tar', args: ['-x', '-p', '-b', '2048', '-f', '-', '-C', place.dataDir], cwd: place.dataDir, ...(place.owner ?? {}) }],
    { input: { [Symbol.asyncIterator]: () => ({ next: () => source.next() }) }, signal: ctx.signal },
  );
  out.resume();
  try {
    await done;
    // tar may end before the last bytes have passed.
    while (!(await source.next()).done);
  } finally {
    await source.return?.();
  }
}

/**
 * The exact server path has to hold a whole cluster of the right identity before anything is started on it.
 * @throws BkpError('verifyFailed') when it does not
 */
export async function checkExtracted(ctx: Context, place: Private, manifest: Manifest): Promise<void> {
  const version = (await readFile(join(place.dataDir, 'PG_VERSION'), 'utf8').catch(() => '')).trim();
  if (Number(version) !== place.tools.major)
    throw new BkpError('verifyFailed', `${place.dataDir} has no PG_VERSION of ${place.tools.major} after unpacking (it says "${version}")`);
  const identifier = (await controlData(ctx, place)).get('Database system identifier');
  const wanted = manifest.identity['systemIdentifier'];
  if (identifier !== wanted)
    throw new BkpError('verifyFailed', `backup ${manifest.id} holds cluster ${identifier}, and its manifest names ${wanted}`);
}
