import { expect, it } from '@jest/globals';
import type { Manifest, PerItem, Store } from '../../src/core/contracts.ts';
import { manifestKey, streamed } from '../../src/ops/catalog.ts';
import { holdNeeded } from '../../src/ops/lock.ts';
import { aged } from './aged.ts';
import { BASE, chunks, fakeTarget, frail, rig } from './rig.ts';

const target = fakeTarget(() => ({}));
const UNTIL = new Date('2031-01-01T00:00:00Z');

/** A store with a lock that writes down what it was asked to hold. */
function holding(store: Store, answer: (key: string) => PerItem = key => ({ key, ok: true })) {
  const asked: { key: string; until: Date }[] = [];
  const made: Store = {
    ...frail(store).store,
    lock: { mode: 'compliance', ms: 1 },
    heldUntil: async () => UNTIL,
    hold: async (keys, until) => {
      asked.push(...keys.map(key => ({ key, until })));
      return keys.map(answer);
    },
  };
  return { store: made, asked };
}

const keysOf = (manifest: Manifest): string[] => [
  manifestKey(BASE, manifest.id),
  ...streamed(manifest).flatMap(({ objects }) => objects.map(({ key }) => key)),
];

const known = (manifests: readonly Manifest[]) => manifests.map(manifest => ({ manifest, stores: ['one'] }));

it('what an increment builds on, to the last, is held as long as itself, and nothing else', async () => {
  using r = rig();
  const [base, other, middle] = [await aged(r, 3), await aged(r, 2.5), await aged(r, 2)];
  const chained = { ...middle, needs: [{ backup: base.id }] };
  const child = { ...(await aged(r, 1)), needs: [{ backup: middle.id }] };
  const { store, asked } = holding(r.stores[0]!);
  expect(await holdNeeded(target, r.ctx, child, [store, r.stores[1]!], known([base, other, chained]))).toEqual([]);
  expect(asked.map(({ key }) => key).sort()).toEqual([child, chained, base].flatMap(keysOf).sort());
  expect(asked.every(({ until }) => until === UNTIL)).toBe(true);
});

it('the records of its log are held too', async () => {
  using r = rig();
  const manifest = await aged(r, 1);
  const { store, asked } = holding(r.stores[0]!);
  const logged = { ...target, log: { records: async () => [`${BASE}/lineages/1-1.json`] } as never };
  expect(await holdNeeded(logged, r.ctx, manifest, [store], [])).toEqual([]);
  expect(asked.map(({ key }) => key)).toContain(`${BASE}/lineages/1-1.json`);
});

it('what cannot be held: the backup is there, the run is partial and says what', async () => {
  using r = rig();
  const { store } = holding(r.stores[0]!, key =>
    key.endsWith('manifest.json') ? { key, ok: true } : { key, ok: false, reason: 'no right' },
  );
  const taken = await r.backup(
    fakeTarget(() => ({ data: chunks(Buffer.alloc(2000, 1)) })),
    { stores: [store] },
  );
  expect(taken.exit).toBe('partial');
  expect(taken.lacks).toEqual([
    expect.stringMatching(/^store one does not hold all that backup \S+ needs: \S+ is not held until 2031-01-01T00:00:00\.000Z: no right$/),
  ]);
  expect(r.events).toContainEqual({ type: 'warning', text: taken.lacks[0] });
});
