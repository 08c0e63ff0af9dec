import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sentence } from '../../../core/errors.ts';
import { holdings, walStores } from './archive.ts';
import type { Context } from './chunks.ts';
import { chunkStore, Flusher } from './flusher.ts';
import { knownLineages } from './lineage.ts';
import { Resent } from './resent.ts';
import { Shipper } from './shipper.ts';
import { alone } from './soleReceiver.ts';
import { Spool } from './spool.ts';

/** Lineages of which the spool holds something. */
const lineagesIn = async (dir: string): Promise<string[]> => (await readdir(dir).catch(() => [])).filter(name => /^\d+-\d+$/.test(name));

/** The receiver fills every segment to its full size before it writes, so the first one's size is the size of all. */
async function segmentBytesIn(dir: string): Promise<number> {
  const names = (await readdir(dir)).filter(name => /^[0-9A-F]{24}(\.partial(\.before)?)?$/.test(name));
  const sizes = await Promise.all(names.map(async name => (await stat(join(dir, name))).size));
  return sizes.reduce((a, b) => Math.max(a, b), 0);
}

async function drainOne(ctx: Context, dir: string, lineage: string): Promise<void> {
  const spool = new Spool(join(dir, lineage), await segmentBytesIn(join(dir, lineage)));
  if (spool.segmentBytes === 0) return;
  await alone(ctx, spool.dir, () => store(ctx, spool, lineage));
}

async function store(ctx: Context, spool: Spool, lineage: string): Promise<void> {
  await new Resent(spool).takeBack();
  const stores = walStores(ctx);
  const held = await holdings(stores, ctx.base, lineage);
  const shipper = new Shipper(ctx, stores, lineage, spool, [], held.copies);
  await shipper.tick();
  const chunked = ctx.config.wal.flush === 'off' ? undefined : await chunkStore(stores);
  if (chunked) await new Flusher(ctx, chunked, lineage, spool, held.chunks).tick(await shipper.waiting(chunked));
}

/**
 * Brings what a spool still holds into the stores although the server does not answer: with it gone for good, those are its last commits. The
 * slot stays where it is. What hinders it is told.
 */
export async function drain(ctx: Context, dir: string): Promise<void> {
  try {
    const lineages = await lineagesIn(dir);
    if (lineages.length === 0) return;
    const known = await knownLineages(ctx);
    for (const lineage of lineages.filter(each => known.has(each))) await drainOne(ctx, dir, lineage);
  } catch (error) {
    ctx.report.emit({ type: 'warning', text: `what the spool holds could not be stored: ${sentence(error)}` });
  }
}
