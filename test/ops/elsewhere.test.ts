import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { TargetEntry } from '../../src/core/config/index.ts';
import type { HeldElsewhere, Target } from '../../src/core/contracts.ts';
import { makeId } from '../../src/core/id.ts';
import { manifestKey } from '../../src/ops/catalog.ts';
import { pruneElsewhere } from '../../src/ops/prune/elsewhere.ts';
import type { Pruned } from '../../src/ops/prune/index.ts';
import { nothing } from '../../src/ops/prune/remove.ts';
import { BASE, facts, fakeTarget, frail, type Rig, rig } from './rig.ts';

const entry = { stores: ['one', 'two'] } as TargetEntry;
const DAY = 86_400_000;

/** A target whose backups lie at a service: the ids of what it makes, what it lists, what it was told to release. */
function serviceTarget(listed: () => HeldElsewhere[]) {
  const released: string[] = [];
  const target: Target = {
    ...fakeTarget(() => ({})),
    async *capture(_ctx, { id }) {
      yield { name: 'image', held: { by: 'hetzner', id: `image-of-${id}` } };
      return facts({ contentBytes: 10 });
    },
    holder: () => ({
      name: 'the service',
      list: async () => listed(),
      release: async function* (held) {
        for (const { id: key } of held) {
          released.push(key);
          yield { key, ok: true };
        }
      },
    }),
  };
  return { target, released };
}

const item = (id: string, backup: string, at: Date): HeldElsewhere => ({ id, backup, at, bytes: 1, text: id });
const pruned = (gone: string[]): Pruned[] => [{ store: 'one', removal: { ...nothing(), gone }, exit: 'done' }];

async function world(r: Rig) {
  const now = Date.now();
  const listed: HeldElsewhere[] = [];
  const made = serviceTarget(() => listed);
  const { manifest } = await r.backup(made.target);
  listed.push(item(`image-of-${manifest.id}`, manifest.id, new Date(now - 40 * DAY)));
  const young = makeId(new Date(now - DAY), randomBytes(3));
  listed.push(item('young', young, new Date(now - DAY)));
  listed.push(item('old', makeId(new Date(now - 8 * DAY), randomBytes(3)), new Date(now - 8 * DAY)));
  return {
    ...made,
    id: manifest.id,
    young,
    run: (results: Pruned[], confirm = true) => pruneElsewhere(made.target, r.ctx, entry, results, confirm),
  };
}

describe('what a service keeps', () => {
  it('stays while a manifest of any store names it, however old it is; what nothing names goes after a week', async () => {
    using r = rig();
    const at = await world(r);
    await r.stores[0]!.remove([manifestKey(BASE, at.id)]);
    expect(await at.run(pruned([at.id]))).toMatchObject({ going: [{ id: 'old' }], released: ['old'], exit: 'done' });
    expect(at.released).toEqual(['old']);
  });

  it('goes with the last manifest that names it', async () => {
    using r = rig();
    const at = await world(r);
    for (const store of r.stores) await store.remove([manifestKey(BASE, at.id)]);
    await at.run(pruned([at.id]));
    expect(at.released.sort()).toEqual([`image-of-${at.id}`, 'old'].sort());
  });

  it('of a backup that this run removed goes at once, young as it is', async () => {
    using r = rig();
    const at = await world(r);
    await at.run(pruned([at.young]));
    expect(at.released.sort()).toEqual(['old', 'young']);
  });

  it('in a store is needed by the manifests of that store alone', async () => {
    using r = rig();
    const listed: HeldElsewhere[] = [];
    const { target, released } = serviceTarget(() => listed);
    const { manifest } = await r.backup(target);
    const young = new Date();
    for (const store of ['one', 'two']) listed.push({ ...item(`in-${store}`, manifest.id, young), store });
    await r.stores[0]!.remove([manifestKey(BASE, manifest.id)]);
    await pruneElsewhere(target, r.ctx, entry, pruned([manifest.id]), true);
    expect(released).toEqual(['in-one']);
  });

  it('is only told of without --confirm', async () => {
    using r = rig();
    const at = await world(r);
    expect(await at.run(pruned([]), false)).toMatchObject({ going: [{ id: 'old' }], released: [] });
    expect(at.released).toEqual([]);
  });

  it('stays, all of it, while a store cannot be read, was not pruned to its end, or holds a manifest that is not understood', async () => {
    using r = rig();
    const at = await world(r);
    const { store: silent, broken } = frail(r.stores[1]!);
    broken.add('list');
    const one = await pruneElsewhere(at.target, r.context({ stores: [r.stores[0]!, silent] }), entry, pruned([]), true);
    expect(one).toMatchObject({ error: expect.stringMatching(/two cannot be read whole/), released: [], exit: 'storeUnreachable' });
    expect((await at.run([{ store: 'one', exit: 'refused' }]))?.error).toMatch(/not pruned to the end/);
    const { putBytes } = await import('../../src/flow/bytes.ts');
    await putBytes(r.stores[0]!, manifestKey(BASE, '20200101T000000Z-abcdef'), Buffer.from('{"version":2}'));
    expect(await at.run(pruned([]))).toMatchObject({ error: expect.stringMatching(/cannot be read whole/), exit: 'verifyFailed' });
    expect(at.released).toEqual([]);
  });
});
