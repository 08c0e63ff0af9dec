import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import type { TargetEntry } from '../../src/core/config/index.ts';
import type { CaptureOptions, Manifest, Store, TargetContext } from '../../src/core/contracts.ts';
import { BkpError } from '../../src/core/errors.ts';
import { encodeManifest } from '../../src/core/manifest.ts';
import { readAll } from '../../src/flow/bytes.ts';
import { openPiece } from '../../src/flow/open.ts';
import { catalog, manifestKey, streamed } from '../../src/ops/catalog.ts';
import { pruneTarget } from '../../src/ops/prune/index.ts';
import { childrenFirst } from '../../src/ops/prune/remove.ts';
import { hold } from '../../src/ops/records/hold.ts';
import { withLease } from '../../src/ops/records/lease.ts';
import { withPin } from '../../src/ops/records/pin.ts';
import { prove } from '../../src/ops/records/proof.ts';
import { lastRuns, recordRun } from '../../src/ops/records/run.ts';
import { aged, DAILY } from './aged.ts';
import { BASE, chunks, facts, fakeTarget, frail, type Rig, rig } from './rig.ts';

const target = fakeTarget(() => ({}));

const entry = (change: Partial<TargetEntry> = {}): TargetEntry => ({
  engine: 'native',
  stores: ['one', 'two'],
  need: 1,
  schedule: DAILY,
  rpo: '1d',
  retention: { daily: 2 },
  alarmBelow: 50,
  pruneShare: 90,
  fullDr: { after: [], online: false, options: {}, skip: false },
  ...change,
});

const prune = (r: Rig, options: { confirm?: boolean; force?: boolean; entry?: Partial<TargetEntry>; ctx?: Partial<TargetContext> } = {}) =>
  pruneTarget(target, r.context(options.ctx), entry(options.entry), {
    confirm: options.confirm ?? true,
    force: options.force ?? false,
    random: n => randomBytes(n),
  });

const idsIn = async (r: Rig, store: number): Promise<string[]> =>
  (await catalog([r.stores[store]!], BASE, r.ctx.keys)).known.map(({ manifest }) => manifest.id);

/** Backups of so many days ago, oldest first. */
async function history(r: Rig, days: readonly number[]): Promise<Manifest[]> {
  const made: Manifest[] = [];
  for (const day of days) made.push(await aged(r, day));
  return made;
}

/** A store that is asked through `change`. */
const through = (store: Store, change: Partial<Store>): Store => ({ ...frail(store).store, ...change });

test('the plan is shown with a reason for each, and changes nothing; confirmed it goes, store by store', async () => {
  using r = rig();
  const made = await history(r, [40, 30, 20, 10, 0.5, 0.01]);
  const before = [r.files('one'), r.files('two')];
  const planned = await prune(r, { confirm: false });
  expect([r.files('one'), r.files('two')]).toEqual(before);
  expect(planned.map(({ exit }) => exit)).toEqual(['done', 'done']);
  for (const { plan } of planned) {
    expect(plan!.lines.map(({ id }) => id)).toEqual(made.map(({ id }) => id));
    expect(plan!.lines.every(({ reasons, bytes }) => reasons.length > 0 && bytes > 2000)).toBe(true);
    expect(plan!.halts).toEqual([]);
  }
  const going = planned[0]!.plan!.lines.filter(({ keep }) => !keep).map(({ id }) => id);
  expect(going.length).toBeGreaterThanOrEqual(3);
  const [one] = await prune(r);
  expect(one).toMatchObject({ exit: 'done', removal: { gone: expect.arrayContaining(going), failed: [], locked: [] } });
  expect(await idsIn(r, 0)).toEqual(made.map(({ id }) => id).filter(id => !going.includes(id)));
  expect(r.files('one').filter(path => going.some(id => path.includes(id)))).toEqual([]);
  for (const id of await idsIn(r, 1)) {
    const manifest = made.find(each => each.id === id)!;
    const [piece] = streamed(manifest);
    expect((await readAll(openPiece(piece!, manifest.line, [r.stores[1]!], r.ctx))).length).toBe(2000);
  }
});

test('pruning twice is pruning once, and the run is recorded', async () => {
  using r = rig();
  await history(r, [40, 30, 20, 10, 0.1]);
  await prune(r);
  const left = r.files('one');
  const [again] = await prune(r);
  expect(again).toMatchObject({ exit: 'done', removal: { gone: [], removed: 0 } });
  expect(r.files('one').filter(path => path.includes('/backups/'))).toEqual(left.filter(path => path.includes('/backups/')));
  expect((await lastRuns(r.ctx, r.stores[0]!)).prune?.success).toMatchObject({ exit: 'done', details: { backups: 0 } });
});

describe('what halts it', () => {
  it('RT06: a fortnight of failed nights: the newest good one is stale, and nothing goes', async () => {
    using r = rig();
    const made = await history(r, [60, 45, 30, 15]);
    const [one] = await prune(r, { entry: { retention: { daily: 1 } } });
    expect(one).toMatchObject({ exit: 'refused', plan: { halts: [expect.stringMatching(/stale|late|due/)] } });
    expect(await idsIn(r, 0)).toEqual(made.map(({ id }) => id));
  });

  it('a last run that failed, as the store tells it; the next good one lifts it', async () => {
    using r = rig();
    await history(r, [40, 30, 20, 0.2]);
    const broken = fakeTarget(() => {
      throw new BkpError('failed', 'pg_basebackup ended with exit code 1');
    });
    await expect(r.backup(broken)).rejects.toThrow('exit code 1');
    expect((await prune(r))[0]).toMatchObject({ exit: 'refused', plan: { halts: [expect.stringContaining('exit code 1')] } });
    await aged(r, 0);
    expect((await prune(r))[0]!.exit).toBe('done');
  });

  it('MO09: sharply smaller than the last ones: kept, failed, and prune halts until the size is accepted', async () => {
    using r = rig();
    const big = await Promise.all([20, 15, 0.9].map(day => aged(r, day, { bytes: 400_000 })));
    const small = await aged(r, 0.1, { bytes: 1000 });
    expect(small.anomaly).toMatch(/less than 50 %/);
    expect((await lastRuns(r.ctx, r.stores[0]!)).backup?.failure).toMatchObject({ exit: 'failed', message: small.anomaly });
    expect((await prune(r))[0]).toMatchObject({ exit: 'refused' });
    expect(await idsIn(r, 0)).toEqual(expect.arrayContaining([...big, small].map(({ id }) => id)));
    const source = fakeTarget(
      () => ({
        data: (async function* () {
          yield randomBytes(1000);
        })(),
      }),
      { at: new Date() },
    );
    const accepted = await r.backup(source, {}, { acceptSize: true });
    expect(accepted).toMatchObject({ exit: 'done', manifest: { sizeAccepted: true } });
    expect((await prune(r))[0]!.exit).toBe('done');
    expect((await r.backup(source)).exit).toBe('done');
  });

  it('more than the allowed share, unless forced', async () => {
    using r = rig();
    await history(r, [40, 30, 20, 10, 0.1]);
    const strict = { pruneShare: 20 };
    expect((await prune(r, { entry: strict }))[0]).toMatchObject({ exit: 'refused', plan: { halts: [expect.stringMatching(/20/)] } });
    expect((await prune(r, { entry: strict, force: true }))[0]!.exit).toBe('done');
  });
});

describe('what stays whatever the policy says', () => {
  it('held, proven and pinned ones, each with its reason', async () => {
    using r = rig();
    const [held, proven, pinned, plain] = await history(r, [40, 35, 30, 25, 20, 0.1]);
    await hold(r.ctx, held!.id, { reason: 'audit of 2026' });
    for (const store of r.stores) await prove(r.ctx, store, proven!.id, new Date(), 'drill');
    await withPin(r.ctx, pinned!.id, 'restore', randomBytes(16), async () => {
      const [one] = await prune(r);
      const reasons = new Map(one!.plan!.lines.map(line => [line.id, line.reasons.join('; ')]));
      expect(reasons.get(held!.id)).toContain('audit of 2026');
      expect(reasons.get(proven!.id)).toContain('proven');
      expect(reasons.get(pinned!.id)).toContain('restore');
      expect(one!.removal!.gone).toContain(plain!.id);
    });
    expect(await idsIn(r, 0)).toEqual(expect.arrayContaining([held!.id, proven!.id, pinned!.id]));
    expect((await prune(r))[0]!.removal!.gone).toEqual([pinned!.id]);
  });

  it('what an increment is made from, until that one is committed; not any longer', async () => {
    using r = rig();
    const [parent] = await history(r, [40, 0.1]);
    const strict = { entry: { retention: { last: 1 } } };
    let reason: string | undefined;
    const increment = {
      ...target,
      async *capture(_: TargetContext, { pin }: CaptureOptions) {
        await pin(parent!.id);
        const [one] = await prune(r, strict);
        reason = one!.plan!.lines.find(line => line.id === parent!.id)!.reasons.join('; ');
        yield { name: 'data', bytes: chunks(randomBytes(2000)) };
        return facts({ at: new Date() });
      },
    };
    await r.backup(increment);
    expect(reason).toMatch(/being read: increment by /);
    expect(await idsIn(r, 0)).toContain(parent!.id);
    expect((await prune(r, strict))[0]!.removal!.gone).toContain(parent!.id);
  });

  it('a pin or a hold that comes after the plan was made is seen before the deletion', async () => {
    using r = rig();
    const made = await history(r, [40, 35, 0.1]);
    let wait = true;
    let release = () => {};
    const restoring = new Promise<void>(resolve => {
      release = resolve;
    });
    let pin = Promise.resolve();
    const slow = through(r.stores[0]!, {
      remove: async keys => {
        if (wait && keys.some(key => key.includes('/backups/'))) {
          wait = false;
          const other = made.find(({ id }) => !keys[0]!.includes(id))!;
          await new Promise<void>(begun => {
            pin = withPin(r.ctx, other.id, 'restore', randomBytes(16), () => {
              begun();
              return restoring;
            });
          });
        }
        return r.stores[0]!.remove(keys);
      },
    });
    const [one] = await prune(r, { ctx: { stores: [slow] }, entry: { retention: { last: 1 } } });
    release();
    await pin;
    expect(one!.removal!.gone).toHaveLength(1);
    expect(one!.removal!.spared).toEqual([{ id: expect.any(String), reason: expect.stringContaining('restore') }]);
    expect(await idsIn(r, 0)).toHaveLength(2);
  });

  it('RT10: what a kept one needs, however old; children go before what they need', async () => {
    using r = rig();
    const a = await aged(r, 40);
    const b = await aged(r, 35, { facts: { needs: [{ backup: a.id }] } });
    const c = await aged(r, 0.1, { facts: { needs: [{ backup: b.id }] } });
    const gone = await aged(r, 30);
    const [one] = await prune(r, { entry: { retention: { last: 1 } } });
    expect(one!.removal!.gone).toEqual([gone.id]);
    expect(await idsIn(r, 0)).toEqual([a.id, b.id, c.id]);
  });

  it('RT12: which host took a backup plays no part: the runs of pods with names of their own are one series', async () => {
    using r = rig();
    const made = await history(r, [40, 35, 0.1]);
    // As a word: letters of a key or a checksum may spell a short name.
    expect(JSON.stringify(made)).not.toMatch(new RegExp(`\\b${hostname()}\\b`));
    const [one] = await prune(r, { entry: { retention: { last: 2 } } });
    expect(one!.removal!.gone).toEqual([made[0]!.id]);
  });

  it('RT13 RT14: what is not ours by its own words, and another target whose name begins alike', async () => {
    using r = rig();
    const made = await history(r, [40, 30, 0.1]);
    const other = `${BASE}-staging`;
    const theirs = await aged(r, 50, { ctx: { base: other, name: 'app-staging' } });
    const moved = `${BASE}/backups/${theirs.id}/manifest.json`;
    const { putBytes } = await import('../../src/flow/bytes.ts');
    await putBytes(r.stores[0]!, moved, await readAll(r.stores[0]!.get(manifestKey(other, theirs.id))));
    await prune(r, { entry: { retention: { last: 1 } } });
    expect(await idsIn(r, 0)).toEqual([made.at(-1)!.id]);
    expect(await r.stores[0]!.stat(moved)).toBeDefined();
    expect((await catalog([r.stores[0]!], other, r.ctx.keys)).known).toHaveLength(1);
  });

  it('RT07: a copy that lost a piece counts for nothing, and stays while a whole one of its age would', async () => {
    using r = rig();
    const made = await history(r, [2.5, 1.5, 0.1]);
    rmSync(join(r.dir, 'one', streamed(made[2]!)[0]!.objects[0]!.key));
    const [one] = await prune(r, { confirm: false, entry: { retention: { last: 1 }, schedule: '@weekly' } });
    expect(one!.plan!.lines.every(({ keep }) => keep)).toBe(true);
    expect(one!.plan!.lines[1]!.reasons.join()).toMatch(/newest/);
  });
});

describe('what cannot be read', () => {
  /** Six weeks ago a full one, two that build on it, and an old full one; then a new one. */
  const chained = async (r: Rig) => {
    const before = await aged(r, 50);
    const full = await aged(r, 45);
    const first = await aged(r, 44, { facts: { needs: [{ backup: full.id }] } });
    const second = await aged(r, 43, { facts: { needs: [{ backup: first.id }, { backup: full.id }] } });
    await aged(r, 0.1);
    return { before, full, first, second };
  };
  const path = (r: Rig, { id }: Manifest) => join(r.dir, 'one', BASE, 'backups', id, 'manifest.json');
  const goes = async (r: Rig, log?: object) => {
    const [one] = await pruneTarget({ ...target, ...(log ? { log: log as never } : {}) }, r.context(), entry({ retention: { last: 1 } }), {
      confirm: false,
      force: false,
      random: n => randomBytes(n),
    });
    return one!.plan!.lines.filter(({ keep }) => !keep).map(({ id }) => id);
  };

  it('may build on what was there before it, in a kind that has increments: that chain stays', async () => {
    using r = rig();
    const { before, full, first, second } = await chained(r);
    const log = { state: () => [], expired: () => [] };
    expect(await goes(r, log)).toEqual([before, full, first, second].map(({ id }) => id));
    writeFileSync(path(r, second), encodeManifest({ ...second, version: 2 as never }, r.ctx.keys.sign));
    expect(await goes(r, log)).toEqual([before.id]);
    expect(await goes(r)).toEqual([before, full, first].map(({ id }) => id));
    writeFileSync(path(r, first), 'garbage');
    expect(await goes(r, log)).toEqual([before.id]);
  });
});

describe('stores that resist', () => {
  const denied = (store: Store, deny: (key: string) => boolean, locked = false): Store =>
    through(store, {
      remove: async keys => {
        const items = await store.remove(keys.filter(key => !deny(key)));
        return [...items, ...keys.filter(deny).map(key => ({ key, ok: false, locked, reason: locked ? 'until 2027' : 'AccessDenied' }))];
      },
    });

  it('S13: one AccessDenied among many is reported by its key; where it is the manifest, nothing else of that backup goes', async () => {
    using r = rig();
    const made = await history(r, [40, 35, 30, 0.1]);
    const key = manifestKey(BASE, made[1]!.id);
    const store = denied(r.stores[0]!, each => each === key);
    const [one] = await prune(r, { ctx: { stores: [store] }, entry: { retention: { last: 1 } } });
    expect(one).toMatchObject({ exit: 'partial', removal: { failed: [{ key, reason: 'AccessDenied' }] } });
    expect(await idsIn(r, 0)).toEqual([made[1]!.id, made[3]!.id]);
    expect(r.files('one').filter(path => path.includes(made[1]!.id))).toHaveLength(2);
    // Days of refusals are days without a good prune.
    expect((await lastRuns(r.ctx, r.stores[0]!)).prune).toEqual({
      failure: expect.objectContaining({ exit: 'partial', message: 'AccessDenied' }),
    });
  });

  it('S17: what the store holds is told as locked, and is no failure', async () => {
    using r = rig();
    const made = await history(r, [40, 35, 0.1]);
    const store = denied(r.stores[0]!, key => key.includes(made[0]!.id), true);
    const [one] = await prune(r, { ctx: { stores: [store] }, entry: { retention: { last: 1 } } });
    expect(one).toMatchObject({ exit: 'done', removal: { gone: [made[1]!.id], failed: [], locked: [{ reason: 'until 2027' }] } });
    expect(await idsIn(r, 0)).toEqual([made[0]!.id, made[2]!.id]);
  });

  it('S12: half a listing is none: nothing goes there, and the other store goes on', async () => {
    using r = rig();
    const made = await history(r, [40, 35, 0.1]);
    const half = through(r.stores[0]!, {
      async *list(prefix) {
        let n = 0;
        for await (const info of r.stores[0]!.list(prefix)) {
          n += 1;
          if (n > 3) throw new BkpError('storeUnreachable', 'store one: the listing broke off');
          yield info;
        }
      },
    });
    const [one, two] = await prune(r, { ctx: { stores: [half, r.stores[1]!] }, entry: { retention: { last: 1 } } });
    expect(one).toMatchObject({ exit: 'storeUnreachable', error: expect.stringContaining('broke off') });
    expect(await idsIn(r, 0)).toEqual(made.map(({ id }) => id));
    expect(two!.removal!.gone).toHaveLength(2);
  });

  it('a store that only says that it removed something is not believed', async () => {
    using r = rig();
    await history(r, [40, 35, 0.1]);
    const liar = through(r.stores[0]!, {
      remove: async keys => (keys[0]!.includes('/backups/') ? keys.map(key => ({ key, ok: true })) : r.stores[0]!.remove(keys)),
    });
    const [one] = await prune(r, { ctx: { stores: [liar] }, entry: { retention: { last: 1 } } });
    expect(one).toMatchObject({ exit: 'failed', error: expect.stringContaining('still shows it') });
    expect(await idsIn(r, 0)).toHaveLength(3);
  });

  it('cut short after a manifest, the next run takes the rest away', async () => {
    using r = rig();
    const [old] = await history(r, [40, 0.1]);
    const store = denied(r.stores[0]!, key => key.includes('/data.'));
    const first = await prune(r, { ctx: { stores: [store] }, entry: { retention: { last: 1 } } });
    expect(first[0]).toMatchObject({ exit: 'partial', removal: { gone: [old!.id] } });
    expect(r.files('one').filter(path => path.includes(old!.id))).toHaveLength(1);
    const eightDaysOn = { ...r.ctx.clock, now: () => new Date(Date.now() + 1000) };
    const { utimesSync } = await import('node:fs');
    const rest = join(r.dir, 'one', r.files('one').find(path => path.includes(old!.id))!);
    utimesSync(rest, new Date('2026-01-01'), new Date('2026-01-01'));
    const [second] = await prune(r, { ctx: { clock: eightDaysOn } });
    expect(second!.plan!.orphans).toEqual([expect.objectContaining({ key: expect.stringContaining(old!.id) })]);
    expect(r.files('one').filter(path => path.includes(old!.id))).toEqual([]);
  });

  it('pieces without a manifest that are young are left alone: their run may be going on', async () => {
    using r = rig();
    await history(r, [0.1]);
    const { putBytes } = await import('../../src/flow/bytes.ts');
    const young = `${BASE}/backups/${(await aged(r, 0.2)).id.replace(/.$/, 'x').replace(/x$/, '0')}-/data`.replace('-/', '/');
    await putBytes(r.stores[0]!, young, Buffer.from('piece'));
    await prune(r);
    expect(await r.stores[0]!.stat(young)).toBeDefined();
  });
});

it('CF11: of two prunes of one store at a time, one goes on and the other says who is at it', async () => {
  using r = rig();
  await history(r, [40, 35, 0.1]);
  await withLease(r.ctx, r.stores[0]!, 'prune', randomBytes(16), async () => {
    const [one, two] = await prune(r);
    expect(one).toMatchObject({ exit: 'conflict', error: expect.stringContaining(String(process.pid)) });
    expect(two!.exit).toBe('done');
  });
  expect(await idsIn(r, 0)).toHaveLength(3);
  expect((await prune(r))[0]!.exit).toBe('done');
});

it('MO02: a run that failed leaves prune halted even where its record is all that is there', async () => {
  using r = rig();
  const at = new Date().toISOString();
  await recordRun(
    r.ctx,
    r.stores,
    { version: 1, verb: 'backup', startedAt: at, finishedAt: at, exit: 'failed', message: 'no route to host' },
    randomBytes(3),
  );
  expect((await prune(r))[0]).toMatchObject({ exit: 'refused' });
});

test('children go before what they need, whatever the graph', () => {
  const graph = fc.array(fc.array(fc.nat(30), { maxLength: 3 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(graph, rows => {
      const manifests = new Map(
        rows.map((needs, n) => [
          `${n}`,
          { needs: needs.filter(other => other < n).map(other => ({ backup: `${other}` })) } as unknown as Manifest,
        ]),
      );
      const order = childrenFirst([...manifests.keys()], manifests);
      expect([...order].sort()).toEqual([...manifests.keys()].sort());
      for (const [id, { needs }] of manifests)
        for (const need of needs) expect(order.indexOf(id)).toBeLessThan(order.indexOf((need as { backup: string }).backup));
    }),
  );
});

test('S17 RT10: what the store holds stays with all that it needs, says until when, and is no failure', async () => {
  using r = rig();
  const made = await history(r, [40, 30, 20, 10, 0.5, 0.01]);
  const [plain] = await prune(r, { confirm: false });
  const going = plain!.plan!.lines.filter(({ keep }) => !keep).map(({ id }) => id);
  const held = going[1]!;
  const until = new Date('2031-01-01T00:00:00Z');
  const store = through(r.stores[0]!, { heldUntil: async key => (key === manifestKey(BASE, held) ? until : undefined) });
  for (const confirm of [false, true]) {
    const [result] = await prune(r, { confirm, ctx: { stores: [store] } });
    expect(result!.exit).toBe('done');
    expect(result!.plan!.lines.find(({ id }) => id === held)).toMatchObject({
      keep: true,
      reasons: expect.arrayContaining(['held by object lock until 2031-01-01T00:00:00.000Z']),
    });
  }
  expect(await idsIn(r, 0)).toEqual(made.map(({ id }) => id).filter(id => id === held || !going.includes(id)));
  expect((await lastRuns(r.ctx, r.stores[0]!)).prune?.failure).toBeUndefined();
});
