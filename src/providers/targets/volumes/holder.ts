import type { Finding, Holder, PerItem, StoreLook } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { codeOf } from '../../hetzner/errors.ts';
import { bytesOf, type Context, hetznerOf } from './context.ts';
import { marksOf, selectorOf } from './labels.ts';

async function release(ctx: Context, id: string): Promise<PerItem> {
  const key = `snapshot ${id}`;
  try {
    await hetznerOf(ctx).removeImage(Number(id));
    return { key, ok: true };
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (error instanceof BkpError && error.exit === 'notFound') return { key, ok: true };
    return { key, ok: false, reason: sentence(error), ...(codeOf(error) === 'protected' ? { locked: true } : {}) };
  }
}

/** The snapshots of this entry, by its own labels: those of other entries, people and programs are never seen here. */
export const holder = (ctx: Context): Holder => ({
  name: 'Hetzner',
  async list() {
    const images = await hetznerOf(ctx).snapshots(selectorOf(ctx.base));
    return images.flatMap(({ id, labels, created_from, image_size, description }) => {
      const marks = marksOf(ctx.base, labels, created_from?.id);
      if (!marks) return [];
      return [{ id: String(id), backup: marks.id, at: marks.at, bytes: bytesOf(image_size), text: `snapshot ${id} (${description})` }];
    });
  },
  async *release(going) {
    for (const { id } of going) {
      ctx.signal.throwIfAborted();
      yield await release(ctx, id);
    }
  },
});

/** Whether every snapshot that the backups of a store name is there and available. What cannot be asked is not proven. */
export async function* verify(ctx: Context, { store, known }: StoreLook): AsyncIterable<Finding> {
  if (known.length === 0) return;
  let there: Map<string, string>;
  try {
    there = new Map((await hetznerOf(ctx).snapshots()).map(({ id, status }) => [String(id), status]));
  } catch (error) {
    ctx.signal.throwIfAborted();
    yield { store: store.name, state: 'unproven', text: `the snapshots could not be looked at: ${sentence(error)}` };
    return;
  }
  for (const { manifest } of known)
    for (const piece of manifest.pieces) {
      if (!('held' in piece) || piece.held.by !== 'hetzner') continue;
      const status = there.get(piece.held.id);
      if (status === 'available') continue;
      const what = `snapshot ${piece.held.id} of ${piece.held.detail?.['name'] ?? piece.name}`;
      const text = status === undefined ? `${what} is not at Hetzner any more` : `${what} is "${status}" at Hetzner, not available`;
      yield { store: store.name, state: status === undefined ? 'missing' : 'damaged', text, breaks: [`backup ${manifest.id}`] };
    }
}
