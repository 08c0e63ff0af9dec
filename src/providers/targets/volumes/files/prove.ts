import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProofRequest, Trial } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { formatBytes } from '../../../../core/size.ts';
import { freeBytes } from '../../../../flow/place.ts';
import { type Baseline, baselineOf, partsOf } from './baseline.ts';
import { tryChecks } from './checks.ts';
import type { Difference } from './compare.ts';
import type { Context } from './context.ts';
import { isFull } from './faults.ts';
import { snapshotsIn } from './repository.ts';
import { bringBack } from './restore.ts';

async function room(dir: string, { allocated, bytes }: Baseline): Promise<Trial | undefined> {
  const [free, needed] = [await freeBytes(dir), allocated ?? bytes];
  if (free > needed) return undefined;
  return {
    name: 'room',
    state: 'unproven',
    text: `the files take ${formatBytes(needed)}, and ${dir} has ${formatBytes(free)} free`,
    mend: '`temp:` in the config names another directory',
  };
}

function counted({ files, bytes }: Difference, baseline: Baseline): Trial {
  const text = `${files} file(s) with ${formatBytes(bytes)}`;
  if (files === baseline.files && bytes === baseline.bytes) return { name: 'count', state: 'ok', text: `${text}, as in the manifest` };
  return { name: 'count', state: 'fail', text: `${text}, and the manifest has ${baseline.files} with ${formatBytes(baseline.bytes)}` };
}

function owners({ owners: differ, examples }: Difference): Trial {
  if (differ === 0) return { name: 'owners', state: 'ok', text: 'owners and modes are those of the backup' };
  const text = `${differ} file(s) have another owner or mode: ${examples.join('; ')}`;
  return process.getuid?.() === 0
    ? { name: 'owners', state: 'fail', text }
    : { name: 'owners', state: 'note', text: `${text}; only root restores owners` };
}

/** Restores a backup out of one store into a directory, and compares files, bytes, owners and modes with what was recorded. */
export async function* prove(ctx: Context, { manifest, dir, enter }: ProofRequest): AsyncIterable<Trial> {
  const baseline = baselineOf(manifest);
  const full = await room(dir, baseline);
  if (full) return yield full;
  const [store] = ctx.stores;
  const snapshots = (await snapshotsIn(ctx, store!, manifest.id)).map(({ id }) => id);
  if (snapshots.length < partsOf(manifest).length)
    return yield {
      name: 'restore',
      state: 'fail',
      text: `the repository has ${snapshots.length} of ${partsOf(manifest).length} snapshots`,
    };
  const stage = join(dir, 'files');
  await mkdir(stage);
  const began = ctx.clock.now().getTime();
  try {
    const { found, notes } = await bringBack(ctx, { manifest, store: store!, snapshots, include: [] }, stage);
    const seconds = Math.round((ctx.clock.now().getTime() - began) / 100) / 10;
    enter?.('prove');
    yield { name: 'restore', state: 'ok', text: `${snapshots.length} snapshot(s) came back`, seconds };
    yield counted(found, baseline);
    yield owners(found);
    const paths = partsOf(manifest).flatMap(part => part.paths);
    yield* await tryChecks(ctx.config.checks, stage, paths, new Date(manifest.recoveryPointAt));
    for (const text of notes) yield { name: 'holes', state: 'note', text };
  } catch (error) {
    if (!(error instanceof BkpError) || error.exit === 'storeUnreachable') throw error;
    ctx.signal.throwIfAborted();
    const text = sentence(error);
    // Of this host, and not of the backup.
    if (isFull(text)) yield { name: 'restore', state: 'unproven', text, mend: '`temp:` in the config names another directory' };
    else yield { name: 'restore', state: 'fail', text };
  }
}
