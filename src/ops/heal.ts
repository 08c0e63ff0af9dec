import { createHash } from 'node:crypto';
import { chainOf, finder } from '../core/chain.ts';
import type { Known, Manifest, Store, Target, TargetContext } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { putBytes, readAll } from '../flow/bytes.ts';
import { copyStored } from '../flow/copyStored.ts';
import { heldObjects, manifestKey, missingObjects, streamed } from './catalog.ts';
import { carryHold } from './records/hold.ts';

const NEWEST = 3;

type StoredObject = ReturnType<typeof streamed>[number]['objects'][number];

/** Copies one object as it is stored, block by block, each proven on the way. */
async function copyObject(object: StoredObject, blockBytes: number, from: Store, to: Store): Promise<void> {
  const upload = await to.open(object.key, { lasting: true });
  try {
    for (const [n, expected] of object.blocks.entries()) {
      const start = n * blockBytes;
      const block = await readAll(from.get(object.key, { from: start, to: Math.min(start + blockBytes, object.bytes) }));
      if (createHash('sha256').update(block).digest('hex') !== expected)
        throw new BkpError('verifyFailed', `object ${object.key} in store ${from.name} is damaged`);
      await upload.block(n, block, expected);
    }
    await upload.commit();
  } catch (error) {
    await upload.abort();
    throw error;
  }
}

async function copyHeld(key: string, from: Store, to: Store): Promise<void> {
  const seen = await from.stat(key);
  if (!seen) throw new BkpError('verifyFailed', `object ${key} in store ${from.name} is missing`);
  await copyStored(from, to, seen);
}

/** @param holders names of the stores that hold it */
async function copyBackup(target: Target, ctx: TargetContext, { manifest, stores: holders }: Known, from: Store, to: Store): Promise<void> {
  const { base } = ctx;
  const missing = new Set(await missingObjects(manifest, to));
  for (const piece of streamed(manifest)) {
    for (const object of piece.objects) if (missing.has(object.key)) await copyObject(object, piece.blockBytes, from, to);
  }
  for (const { key } of heldObjects(manifest)) if (missing.has(key)) await copyHeld(key, from, to);
  await target.copyHeld?.(ctx, manifest, from, to);
  await carryHold(
    ctx,
    manifest.id,
    ctx.stores.filter(({ name }) => holders.includes(name)),
    to,
  );
  await putBytes(to, manifestKey(base, manifest.id), await readAll(from.get(manifestKey(base, manifest.id))), {
    ifAbsent: true,
    lasting: true,
  });
}

/** The newest backups and all that they build on, oldest first: a child goes into no store before what it needs. */
export function newestWithChains(known: readonly Known[]): Known[] {
  const find = finder(known.map(({ manifest }) => manifest));
  const wanted = new Set(known.slice(-NEWEST).flatMap(({ manifest }) => [manifest, ...chainOf(manifest, find).members]));
  return known.filter(({ manifest }) => wanted.has(manifest));
}

/**
 * Gives a store what it lacks of all that a backup builds on, oldest first, so that the backup can be restored out of it.
 * @throws BkpError when it does not hold all of it afterwards
 */
export async function healChain(target: Target, ctx: TargetContext, manifest: Manifest, known: readonly Known[], to: Store): Promise<void> {
  const { members, missing } = chainOf(manifest, finder(known.map(each => each.manifest)));
  const [gone] = missing;
  if (gone) throw new BkpError('failed', `it does not hold backup ${gone}, on which this one builds, and no other store does`);
  for (const member of members) {
    if (await to.stat(manifestKey(ctx.base, member.id))) continue;
    const held = known.find(each => each.manifest === member)!;
    const from = ctx.stores.find(store => store !== to && held.stores.includes(store.name));
    if (!from) throw new BkpError('failed', `it does not hold backup ${member.id}, on which this one builds`);
    await copyBackup(target, ctx, held, from, to);
    ctx.report.emit({ type: 'note', text: `backup ${member.id} was missing in store ${to.name} and is there now` });
  }
}

/**
 * Gives the newest backups to the stores of the target that lack them (they were down, or are new), with all that these build on: stored bytes
 * first, the same manifest last. What cannot be healed now is a warning, and the next run tries again.
 * @returns ids with the store that now holds them
 */
export async function heal(target: Target, ctx: TargetContext, known: readonly Known[]): Promise<{ id: string; store: string }[]> {
  const healed: { id: string; store: string }[] = [];
  for (const { manifest, stores } of newestWithChains(known)) {
    const from = ctx.stores.find(store => stores.includes(store.name));
    for (const to of ctx.stores.filter(store => !stores.includes(store.name))) {
      try {
        if (!from) throw new BkpError('storeUnreachable', `the store that holds it (${stores.join(', ')}) cannot be read now`);
        await healChain(target, ctx, manifest, known, to);
        await copyBackup(target, ctx, { manifest, stores }, from, to);
        healed.push({ id: manifest.id, store: to.name });
        ctx.report.emit({ type: 'note', text: `backup ${manifest.id} was missing in store ${to.name} and is there now` });
      } catch (error) {
        ctx.report.emit({ type: 'warning', text: `backup ${manifest.id} is still missing in store ${to.name}: ${sentence(error)}` });
      }
    }
  }
  return healed;
}
