import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from '@jest/globals';
import type { Target, TargetContext, Trial } from '../../src/core/contracts.ts';
import { BkpError } from '../../src/core/errors.ts';
import { environmentSection } from '../../src/core/key.ts';
import { readAll } from '../../src/flow/bytes.ts';
import { type DrillRun, drill, type Entry, worstResult } from '../../src/ops/drill/index.ts';
import { keepDrill, newestDrill } from '../../src/ops/records/drill.ts';
import { lastRuns } from '../../src/ops/records/run.ts';
import { chunks, fakeTarget, frail, keySet, type Rig, rig } from './rig.ts';

const CONTENTS = Buffer.alloc(1 << 20, 'x');
const good: Trial = { name: 'all', state: 'ok', text: 'it works' };

type Prove = NonNullable<Target['prove']>;

const gives = (...trials: Trial[]): Prove =>
  async function* () {
    yield* trials;
  };

const target = (prove: Prove | undefined): Target => ({
  ...fakeTarget(() => ({ data: chunks(CONTENTS) })),
  ...(prove ? { prove } : {}),
});

/** An entry of the rig whose proof is given. */
const entry = (r: Rig, prove: Prove | undefined, change: Partial<Entry> & { ctx?: Partial<TargetContext> } = {}): Entry => {
  const { ctx, ...rest } = change;
  return {
    kind: 'fake',
    name: 'app',
    after: [],
    engine: 'native',
    open: () => ({ target: target(prove), ctx: r.context(ctx), engine: 'native', rpoMs: 900_000 }),
    ...rest,
  };
};

const runOf = (r: Rig, change: Partial<DrillRun> = {}): DrillRun => ({
  env: 'prod',
  drilledIn: 'staging',
  scope: 'full-dr',
  tool: 'bkp 0',
  pick: {},
  random: randomBytes,
  clock: r.ctx.clock,
  report: r.ctx.report,
  signal: r.ctx.signal,
  ...change,
});

const only = async (r: Rig, prove: Prove | undefined, change: Partial<DrillRun> = {}, ctx: Partial<TargetContext> = {}) => {
  const { evidence } = await drill([entry(r, prove, { ctx })], runOf(r, change));
  return { evidence, targets: evidence.targets, first: evidence.targets[0]! };
};

const proofs = (r: Rig) => ['one', 'two'].flatMap(store => r.files(store).filter(path => path.includes('/proofs/')));

describe('one target', () => {
  it('is what was reached, in phases that add up, out of the first store that has it', async () => {
    using r = rig();
    const { manifest } = await r.backup(target(undefined));
    let time = Date.parse('2026-01-15T03:00:00Z');
    const pass = (ms: number) => {
      time += ms;
    };
    const clock = { now: () => new Date(time), sleep: r.ctx.clock.sleep };
    const stores = r.stores.map(store => ({
      ...store,
      name: store.name,
      blockBytes: store.blockBytes,
      open: store.open.bind(store),
      stat: store.stat.bind(store),
      list: store.list.bind(store),
      remove: store.remove.bind(store),
      powers: store.powers.bind(store),
      async *get(key: string, range?: { from: number; to?: number }) {
        if (key.includes('/data.')) pass(4000);
        yield* store.get(key, range);
      },
    }));
    const prove: Prove = async function* (_, { manifest: { pieces }, read, enter, latest }) {
      expect(latest).toBe(true);
      await readAll(read(pieces[0] as Parameters<typeof read>[0]));
      pass(1500);
      enter!('start');
      pass(250);
      enter!('prove');
      pass(10_000);
      yield { ...good, reachedAt: new Date('2026-01-15T02:59:00Z') };
    };
    const { first, evidence } = await only(r, prove, { clock }, { clock, stores });
    expect(first).toMatchObject({
      result: 'passed',
      store: 'one',
      backup: manifest.id,
      phases: { fetch: 4, restore: 1.5, start: 0.25, prove: 10 },
      rtoSeconds: 5.75,
      rpoSeconds: 60,
      rpoPromisedSeconds: 900,
      recoveryPointAt: '2026-01-15T02:59:00.000Z',
      plainBytes: CONTENTS.length,
    });
    expect(first.checks).toEqual([{ name: 'all', state: 'ok', text: 'it works' }]);
    expect(evidence).toMatchObject({
      env: 'prod',
      drilledIn: 'staging',
      startedAt: '2026-01-15T03:00:00.000Z',
      finishedAt: '2026-01-15T03:00:15.750Z',
    });
    expect(proofs(r)).toEqual([`prod/proofs/fake/app/${manifest.id}.json`]);
  });

  it.each([
    ['a fault', gives(good, { name: 'keys', state: 'fail', text: 'two are missing' }), 'failed'],
    ['what this host cannot try', gives(good, { name: 'samba', state: 'unproven', text: 'no samba' }), 'unproven'],
    ['nothing that was tried', gives(), 'failed'],
    ['a kind that tries nothing', undefined, 'unproven'],
    [
      'a store that falls silent',
      async function* () {
        yield good;
        throw new BkpError('storeUnreachable', 'store one is gone');
      } as Prove,
      'failed',
    ],
    [
      'a defect',
      async function* () {
        yield good;
        throw new TypeError('undefined is not a function');
      } as Prove,
      'unproven',
    ],
  ] as const)('%s is no success and no proof', async (_, prove, result) => {
    using r = rig();
    await r.backup(target(undefined));
    const { first, evidence } = await only(r, prove);
    expect({ target: first.result, all: evidence.result, proofs: proofs(r) }).toEqual({ target: result, all: result, proofs: [] });
    expect({ rto: first.rtoSeconds, rpo: first.rpoSeconds }).toEqual({ rto: undefined, rpo: undefined });
    expect(first.skipped ?? first.checks.find(({ state }) => state === 'fail' || state === 'unproven')?.text).toBeTruthy();
    // Only what failed is a failed run; what could not be tried is none.
    const runs = await lastRuns(r.ctx, r.stores[0]!);
    expect(runs.drill?.failure?.exit).toBe(result === 'failed' ? 'verifyFailed' : undefined);
    expect(runs.drill?.success).toBeUndefined();
  });

  it('an anomaly is none of the good backups, and is tried by its name', async () => {
    using r = rig();
    const first = await r.backup(target(undefined));
    const small: Target = { ...fakeTarget(() => ({ data: chunks(Buffer.alloc(10)) })), prove: gives(good) };
    const second = await r.backup(small).catch(error => error);
    const ids = readdirSync(join(r.dir, 'one/prod/fake/app/backups')).sort();
    expect(ids).toHaveLength(2);
    const anomaly = ids.find(id => id !== first.manifest.id)!;
    expect((await only(r, gives(good))).first.backup).toBe(first.manifest.id);
    expect((await only(r, gives(good), { pick: { backup: anomaly } })).first.backup).toBe(anomaly);
    expect(second).toBeDefined();
  });

  it('--random takes each of the good ones, by the number that it is given', async () => {
    using r = rig();
    const made: string[] = [];
    for (const day of [1, 2, 3]) {
      const clock = { ...r.ctx.clock, now: () => new Date(`2026-01-0${day}T02:00:00Z`) };
      made.push((await r.backup(target(undefined), { clock })).manifest.id);
    }
    const taken: (string | undefined)[] = [];
    for (const n of [0, 1, 2, 3]) {
      const random = () => Buffer.from([0, 0, 0, n]);
      taken.push((await only(r, gives(good), { pick: { random } })).first.backup);
    }
    expect(taken).toEqual([...made, made[0]]);
  });

  it('each store is tried by itself, and one that is silent fails', async () => {
    using r = rig();
    await r.backup(target(undefined));
    const { store, broken } = frail(r.stores[1]!);
    const stores = [r.stores[0]!, store];
    const both = await only(r, gives(good), { store: 'each' }, { stores });
    expect(both.targets.map(each => `${each.store} ${each.result}`)).toEqual(['one passed', 'two passed']);
    broken.add('list');
    const { targets, evidence } = await only(r, gives(good), { store: 'each' }, { stores });
    expect(targets.map(each => `${each.store} ${each.result} ${each.skipped ?? ''}`)).toEqual([
      'one passed ',
      'two failed store two fell over at list',
    ]);
    expect(evidence.result).toBe('failed');
    // By itself the drill goes to the one that answers, as a restore does.
    const { first } = await only(r, gives(good), {}, { stores: [store, r.stores[0]!] });
    expect({ store: first.store, result: first.result }).toEqual({ store: 'one', result: 'passed' });
  });

  it('secrets do not get into a record', async () => {
    using r = rig();
    await r.backup(target(undefined));
    const redact = (text: string) => text.replaceAll('hunter2', '***');
    const { evidence } = await only(r, gives({ name: 'sql', state: 'fail', text: 'password hunter2 is wrong' }), {}, { redact });
    const records = { section: environmentSection(r.ctx.base, 'drills'), keys: r.ctx.keys, report: r.ctx.report, redact };
    await keepDrill(r.stores, evidence, records);
    const dir = join(r.dir, 'one/prod');
    const all = readdirSync(dir, { recursive: true, withFileTypes: true }).filter(
      each => each.isFile() && /drill/.test(join(each.parentPath, each.name)),
    );
    expect(all.length).toBe(2);
    for (const each of all) expect(readFileSync(join(each.parentPath, each.name), 'utf8')).not.toContain('hunter2');
  });
});

describe('several targets', () => {
  const named = (r: Rig, name: string, prove: Prove, after: string[] = []) => entry(r, prove, { name, after, ctx: { name } });

  it('what waits for a failed one is skipped and named, at once or by others; the rest is tried', async () => {
    using r = rig();
    await r.backup(target(undefined));
    const tried: string[] = [];
    const each = (name: string, trial: Trial): Prove =>
      async function* () {
        tried.push(name);
        yield trial;
      };
    const bad: Trial = { name: 'x', state: 'fail', text: 'no' };
    const doubtful: Trial = { name: 'x', state: 'unproven', text: 'not here' };
    const { evidence } = await drill(
      [
        named(r, 'top', each('top', good), ['fake/middle']),
        named(r, 'middle', each('middle', good), ['fake/low']),
        named(r, 'low', each('low', bad)),
        named(r, 'other', each('other', doubtful)),
        named(r, 'more', each('more', good), ['fake/other']),
      ],
      runOf(r),
    );
    expect(tried).toEqual(['low', 'other', 'more']);
    expect(evidence.targets.map(({ name, wave, result, skipped }) => `${name} ${wave} ${result} ${skipped ?? ''}`.trim())).toEqual([
      'low 0 failed',
      'other 0 unproven',
      'middle 1 failed it waits for fake/low, which did not come back',
      'more 1 passed',
      'top 2 failed it waits for fake/low, which did not come back',
    ]);
    expect(evidence.result).toBe('failed');
  });

  it('one that cannot be opened is its own failure, and of the rest nothing is lost', async () => {
    using r = rig();
    await r.backup(target(undefined));
    const shut = entry(r, undefined, {
      name: 'shut',
      open: () => {
        throw new BkpError('usage', 'S3_SECRET is not set');
      },
    });
    const { evidence, opened } = await drill([shut, named(r, 'app', gives(good))], runOf(r));
    expect(evidence.targets.map(({ name, result, skipped }) => [name, result, skipped])).toEqual([
      ['shut', 'failed', 'S3_SECRET is not set'],
      ['app', 'passed', undefined],
    ]);
    expect(opened).toHaveLength(1);
  });

  it('a signal ends it at once, with its reason', async () => {
    using r = rig();
    await r.backup(target(undefined));
    const abort = new AbortController();
    const prove: Prove = async function* () {
      abort.abort(new BkpError('terminated', 'ended'));
      yield good;
      abort.signal.throwIfAborted();
    };
    const all = [entry(r, prove, { ctx: { signal: abort.signal } }), named(r, 'later', gives(good))];
    await expect(drill(all, runOf(r, { signal: abort.signal }))).rejects.toThrow('ended');
    expect(r.files('one').filter(path => /drills|proofs|pins/.test(path))).toEqual([]);
  });
});

describe('records', () => {
  const evidenceOf = async (r: Rig, at: string) => {
    const clock = { ...r.ctx.clock, now: () => new Date(at) };
    return (await drill([entry(r, gives(good), { ctx: { clock } })], runOf(r, { clock }))).evidence;
  };
  const recordsOf = (r: Rig) => ({ section: environmentSection(r.ctx.base, 'drills'), keys: r.ctx.keys, report: r.ctx.report });

  it('the newest that is believed counts; one that is not is a warning', async () => {
    using r = rig();
    await r.backup(target(undefined));
    const [old, fresh] = [await evidenceOf(r, '2026-01-15T02:00:00Z'), await evidenceOf(r, '2026-01-16T02:00:00Z')];
    for (const each of [fresh, old]) expect(await keepDrill(r.stores, each, recordsOf(r))).toEqual(['one', 'two']);
    expect((await newestDrill(r.stores[0]!, recordsOf(r)))?.id).toBe(fresh.id);
    const path = join(r.dir, 'one', recordsOf(r).section, `${fresh.id}.json`);
    writeFileSync(path, readFileSync(join(r.dir, 'one', recordsOf(r).section, `${old.id}.json`)));
    expect((await newestDrill(r.stores[0]!, recordsOf(r)))?.id).toBe(old.id);
    expect(r.events.at(-1)).toMatchObject({
      type: 'warning',
      text: expect.stringContaining(`is the record of drill ${old.id} of prod: it was moved or copied there`),
    });
    // One of staging tells nothing of production, though the same key signed it.
    const other = { ...fresh, id: '20260117T020000Z-4f2a1c', env: 'staging' };
    await keepDrill([r.stores[0]!], other, recordsOf(r));
    expect((await newestDrill(r.stores[0]!, recordsOf(r)))?.id).toBe(old.id);
    const stranger = { ...recordsOf(r), keys: keySet().keys };
    expect(await newestDrill(r.stores[1]!, stranger)).toBeUndefined();
  });

  it('a store that takes none is a warning, and so is a host that cannot sign', async () => {
    using r = rig();
    await r.backup(target(undefined));
    const evidence = await evidenceOf(r, '2026-01-15T02:00:00Z');
    const { store, broken } = frail(r.stores[0]!);
    broken.add('open');
    expect(await keepDrill([store, r.stores[1]!], evidence, recordsOf(r))).toEqual(['two']);
    expect(r.events.at(-1)).toMatchObject({ type: 'warning', text: expect.stringContaining('store one did not take the record') });
    const mute = {
      ...r.ctx.keys,
      sign: () => {
        throw new BkpError('usage', 'there is no keys.signing');
      },
    };
    expect(await keepDrill(r.stores, evidence, { ...recordsOf(r), keys: mute })).toEqual([]);
    expect(r.events.at(-1)).toMatchObject({
      type: 'warning',
      text: expect.stringContaining('status does not know of it: there is no keys.signing'),
    });
  });
});

test('the worst of results; of none it is failed', () => {
  expect(worstResult([])).toBe('failed');
  expect(worstResult(['passed', 'unproven', 'passed'])).toBe('unproven');
  expect(worstResult(['unproven', 'failed', 'passed'])).toBe('failed');
  expect(worstResult(['passed'])).toBe('passed');
});
