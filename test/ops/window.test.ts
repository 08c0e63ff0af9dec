import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { StoreLook, Target, WindowLine } from '../../src/core/contracts.ts';
import { checkWindowed, type Windowed, windowsOfTarget } from '../../src/ops/window.ts';
import { chunks, fakeTarget, frail, type Rig, rig } from './rig.ts';

const plain = fakeTarget(() => ({ data: chunks(Buffer.alloc(100_000, 'x')) }));

const lineOf = ({ store, known }: StoreLook): WindowLine => ({
  store: store.name,
  lineage: '1-1',
  systemIdentifier: '1',
  timelines: [{ timeline: 1 }],
  from: '2026-01-15T02:00:00.000Z',
  to: '2026-01-15T03:00:00.000Z',
  toIs: 'stored',
  fromLsn: '0/1',
  toLsn: '0/2',
  segments: 1,
  backups: known.map(({ manifest }) => manifest.id),
  gaps: [],
  live: true,
});

/** A kind whose windows are what it was shown; every look is kept. */
function windowed(): { target: Windowed; looks: StoreLook[] } {
  const looks: StoreLook[] = [];
  const target: Windowed = {
    ...plain,
    windows: async (_, look) => {
      looks.push(look);
      return { lines: [lineOf(look)], notes: [{ state: 'note', text: 'seen' }] };
    },
  };
  return { target, looks };
}

const objectIn = (r: Rig, store: string): string => join(r.dir, store, r.files(store).find(path => path.includes('data.zst'))!);

test('every store is looked at by itself, with its whole listing and the begin of the window', async () => {
  using r = rig();
  const { manifest } = await r.backup(plain);
  const { target, looks } = windowed();
  const clock = { ...r.ctx.clock, now: () => new Date('2026-03-01T00:00:00Z') };
  const { lines, notes, problems } = await windowsOfTarget(target, r.context({ clock }), { window: 86_400_000 });
  expect(problems).toEqual([]);
  expect(lines).toMatchObject([
    { store: 'one', backups: [manifest.id] },
    { store: 'two', backups: [manifest.id] },
  ]);
  expect(notes).toEqual(['one', 'two'].map(store => ({ store, state: 'note', text: 'seen' })));
  expect(looks.map(({ cutoff }) => cutoff)).toEqual([new Date('2026-02-28T00:00:00Z'), new Date('2026-02-28T00:00:00Z')]);
  expect(looks[0]!.objects.map(({ key }) => key)).toEqual(expect.arrayContaining(r.files('one')));
});

test('a copy that lost a piece begins no window there, and is told', async () => {
  using r = rig();
  const { manifest } = await r.backup(plain);
  rmSync(objectIn(r, 'two'));
  const { lines, notes } = await windowsOfTarget(windowed().target, r.ctx, {});
  expect(lines.map(({ backups }) => backups)).toEqual([[manifest.id], []]);
  expect(notes).toContainEqual({ store: 'two', state: 'unproven', text: `backup ${manifest.id} lost a piece there: it is left out` });
});

test('a store that does not answer, or falls silent in between, is a problem, and the other one is shown', async () => {
  using r = rig();
  await r.backup(plain);
  const { target } = windowed();
  renameSync(join(r.dir, 'two'), join(r.dir, 'away'));
  const gone = await windowsOfTarget(target, r.ctx, {});
  expect(gone.lines.map(({ store }) => store)).toEqual(['one']);
  expect(gone.problems).toMatchObject([{ store: 'two' }]);
  renameSync(join(r.dir, 'away'), join(r.dir, 'two'));
  const second = frail(r.stores[1]!);
  const falls: Windowed = {
    ...target,
    windows: async (ctx, look) => {
      second.broken.add('list');
      for await (const _ of look.store.list('prod')) break;
      return target.windows(ctx, look);
    },
  };
  const fallen = await windowsOfTarget(falls, r.context({ stores: [second.store, r.stores[0]!] }), {});
  expect(fallen.problems).toMatchObject([{ store: 'two', error: expect.stringContaining('fell over') }]);
  expect(fallen.lines.map(({ store }) => store)).toEqual(['one']);
});

test('no store that answers is an error, not an empty window', async () => {
  using r = rig();
  for (const name of ['one', 'two']) rmSync(join(r.dir, name), { recursive: true });
  await expect(windowsOfTarget(windowed().target, r.ctx, {})).rejects.toMatchObject({ exit: 'storeUnreachable' });
});

test('a kind without windows is refused, and the kinds that have some are named', () => {
  const { target } = windowed();
  const kinds: Target[] = [plain, { ...target, kind: 'postgres' }, { ...target, kind: 'redis' }];
  expect(checkWindowed(kinds[1]!, kinds)).toBe(kinds[1]);
  expect(() => checkWindowed({ ...plain, kind: 'volumes' }, kinds)).toThrow(
    expect.objectContaining({
      exit: 'usage',
      message: expect.stringContaining('volumes has no windows'),
      next: expect.arrayContaining(['--window goes with: postgres, redis']),
    }),
  );
});
