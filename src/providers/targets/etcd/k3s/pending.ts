import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import type { Facts, Known, Pending, Piece, Site } from '../../../../core/contracts.ts';
import { makeId } from '../../../../core/id.ts';
import { openSite } from '../../../../flow/site/index.ts';
import type { Context } from '../config.ts';
import { exclusive } from '../exclusive.ts';
import { isK3s } from '../flavor.ts';
import { refuseForeign } from '../identity.ts';
import { bytesOf, told, tried } from '../take.ts';
import { beside, factsOf, surroundings } from './capture.ts';
import { k3sProgram } from './command.ts';
import { datastoreOf } from './datastore.ts';
import { type Listed, OWN, takenAt } from './list.ts';
import { listed, plainFile } from './save.ts';

type There = Listed & { path: string };

/** One snapshot file has one id, whoever stores it and when; K3s puts the node into the name. */
const randomOf = (name: string): Buffer => createHash('sha256').update(name).digest();

async function* captureFile(ctx: Context, { path, name }: There, at: Date, known: readonly Known[]): AsyncGenerator<Piece, Facts> {
  const free = await exclusive(ctx);
  const site = await openSite(ctx, ctx.config.where);
  try {
    const around = await surroundings(ctx, site, await k3sProgram(ctx, site));
    refuseForeign(ctx, around.identity, known);
    const dir = await ctx.scratch();
    const taken = await tried(ctx, await plainFile(ctx, site, path, dir), dir, undefined, `snapshot ${name}`);
    yield { name: 'snapshot.db', bytes: bytesOf(taken.file) };
    const warnings = yield* beside(ctx, site, around);
    return { ...factsOf(around, 'etcd', { ...taken, at }), warnings };
  } finally {
    await site.close();
    await free();
  }
}

/** What lies on this very node, is finished, and is not ours. */
async function here(ctx: Context, site: Site, k3s: string): Promise<There[]> {
  const all = (await listed(ctx, site, k3s)).filter(
    (each): each is There => each.path !== undefined && !each.failed && !OWN.test(each.name) && takenAt(each.name) !== undefined,
  );
  const names = new Map<string, Set<string>>();
  for (const dir of new Set(all.map(({ path }) => join(path, '..')))) names.set(dir, new Set(await site.names(dir)));
  return all.filter(({ path }) => names.get(join(path, '..'))?.has(basename(path)));
}

/**
 * Snapshots that K3s took by its own schedule and that no store holds, oldest first. They stay where they are: K3s removes them itself.
 * What cannot be listed is a warning.
 */
export async function* pending(ctx: Context, known: readonly Known[]): AsyncGenerator<Pending> {
  if (!ctx.config.k3s.adopt) return;
  const site = await openSite(ctx, ctx.config.where);
  try {
    if (!(await isK3s(ctx, site)) || (await datastoreOf(ctx, site)) !== 'etcd') return;
    const ids = new Set(known.map(({ manifest }) => manifest.id));
    const found = await here(ctx, site, await k3sProgram(ctx, site));
    const dated = found.map(file => ({ file, at: takenAt(file.name)! })).sort((a, b) => a.at.getTime() - b.at.getTime());
    for (const { file, at } of dated) {
      const random = randomOf(file.name);
      if (ids.has(makeId(at, random))) continue;
      yield { name: file.name, startedAt: at, random, capture: now => captureFile(ctx, file, at, now) };
    }
  } catch (error) {
    ctx.signal.throwIfAborted();
    ctx.report.emit({ type: 'warning', text: `K3s's own snapshots could not be looked through: ${told(error)}` });
  } finally {
    await site.close();
  }
}
