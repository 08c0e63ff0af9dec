import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { CaptureOptions, Facts, Manifest, Target, TargetContext } from '../../src/core/contracts.ts';
import { BkpError } from '../../src/core/errors.ts';
import { catalog } from '../../src/ops/catalog.ts';
import { listTarget } from '../../src/ops/list.ts';
import { verifyTarget } from '../../src/ops/verify.ts';
import { BASE, chunks, facts, fakeTarget, frail, type Rig, rig } from './rig.ts';

const data = () => ({ data: chunks(Buffer.alloc(5000, 'x')) });
const on = (...parents: Manifest[]): Target => fakeTarget(data, { needs: parents.map(({ id }) => ({ backup: id })) });
const random = () => randomBytes(8);

async function chainOfThree(r: Rig): Promise<[Manifest, Manifest, Manifest]> {
  const one = (await r.backup(fakeTarget(data), {}, { random: random() })).manifest;
  const two = (await r.backup(on(one), {}, { random: random() })).manifest;
  const three = (await r.backup(on(two, one), {}, { random: random() })).manifest;
  return [one, two, three];
}

const lose = (r: Rig, store: string, { id }: Manifest, what = ''): void =>
  rmSync(join(r.dir, store, BASE, 'backups', id, what), { recursive: true });

describe('chains in the stores', () => {
  it('a copy counts as damaged when anything that it builds on is, in that store alone', async () => {
    using r = rig();
    const [one, two] = await chainOfThree(r);
    lose(r, 'one', two, 'data.zst.age.000');
    lose(r, 'two', one, 'manifest.json');
    const { rows } = await listTarget(r.ctx);
    expect(rows.map(({ copies }) => copies)).toEqual([
      { one: 'whole', two: 'absent' },
      { one: 'damaged', two: 'damaged' },
      { one: 'damaged', two: 'damaged' },
    ]);
    expect(rows.map(({ chain }) => chain?.length)).toEqual([undefined, 1, 2]);
  });

  it('verify says which backups a lost one breaks, and counts none of them as whole', async () => {
    using r = rig();
    const [one, two, three] = await chainOfThree(r);
    lose(r, 'one', two, 'data.zst.age.000');
    lose(r, 'two', one);
    const [first, second] = await verifyTarget(on(one), r.ctx, { deep: false, random });
    expect([first!.whole, second!.whole]).toEqual([1, 0]);
    const bad = (findings: typeof first) => findings!.findings.find(({ state, breaks }) => state === 'missing' && breaks);
    expect(bad(first)!.breaks).toEqual([`backup ${two.id}`, `backup ${three.id}, which builds on ${two.id}`]);
    expect(bad(second)).toMatchObject({
      text: `backup ${one.id}, on which others build, is not in it`,
      breaks: [two, three].map(({ id }) => `backup ${id}, which builds on ${one.id}`),
    });
  });

  it('a store that lacks what an increment builds on gets it before the increment counts there', async () => {
    using r = rig();
    const [one, two] = await chainOfThree(r);
    for (const each of [one, two]) lose(r, 'two', each);
    const next = await r.backup(on(two, one), {}, { random: random() });
    expect(next.stores).toEqual([
      { name: 'one', ok: true },
      { name: 'two', ok: true },
    ]);
    const { known } = await catalog(r.stores, BASE, r.ctx.keys);
    expect(known.map(({ stores }) => stores)).toEqual(Array(4).fill(['one', 'two']));
  });

  it('healing goes back over the whole chain, oldest first, however old its beginning', async () => {
    using r = rig();
    const [one, two, three] = await chainOfThree(r);
    const four = (await r.backup(on(three, two, one), {}, { random: random() })).manifest;
    const five = (await r.backup(on(four, three, two, one), {}, { random: random() })).manifest;
    for (const each of [one, two, three, four, five]) lose(r, 'two', each);
    const { healed } = await r.backup(fakeTarget(data), {}, { random: random() });
    expect(healed.map(({ id, store }) => [id, store])).toEqual([one, two, three, four, five].map(({ id }) => [id, 'two']));
  });

  it('a store that cannot be given it does not hold the increment, and the run is partial', async () => {
    using r = rig();
    const [one] = await chainOfThree(r);
    lose(r, 'two', one);
    const sick = frail(r.stores[0]!);
    sick.broken.add('get');
    const { known } = await catalog(r.stores, BASE, r.ctx.keys);
    expect(known).toHaveLength(3);
    const next = r.backup(on(one), { stores: [r.stores[0]!, r.stores[1]!] }, { random: random() });
    expect((await next).exit).toBe('done');
    lose(r, 'one', one);
    lose(r, 'two', one);
    await expect(r.backup(on(one), {}, { random: random() })).rejects.toThrow(new RegExp(`it does not hold backup ${one.id}`));
  });
});

describe('how much a backup is told to become', () => {
  /** Yields so many bytes, as an increment where there is a parent. */
  const sized = (bytes: number, parent?: Manifest): Target => ({
    ...fakeTarget(data),
    async *capture(_: TargetContext, { pin }: CaptureOptions) {
      if (parent) await pin(parent.id);
      yield { name: 'data', bytes: chunks(Buffer.alloc(bytes, 'x')) };
      return facts(parent ? { needs: [{ backup: parent.id }] } : {});
    },
  });

  it('is what the last one of its own kind was: an increment by an increment, a full one by a full one', async () => {
    using r = rig();
    let second = 0;
    const take = async (bytes: number, parent?: Manifest) => {
      r.events.length = 0;
      second += 1;
      const now = () => new Date(Date.UTC(2026, 0, 15, 2, 0, second));
      const clock = { now, sleep: async () => {} };
      const { manifest } = await r.backup(sized(bytes, parent), { clock }, { random: random(), alarmBelow: 0 });
      const told = r.events.find(event => event.type === 'progress' && event.what === 'data');
      return { manifest, expected: told && 'expected' in told ? told.expected : undefined };
    };
    const full = await take(9000);
    const one = await take(300, full.manifest);
    const two = await take(400, one.manifest);
    const next = await take(9100);
    const three = await take(500, next.manifest);
    expect([full, one, two, next, three].map(({ expected }) => expected)).toEqual([undefined, undefined, 300, 9000, 400]);
  });
});

describe('an increment that fails', () => {
  /** Fails in the middle of its bytes as long as it may be an increment. */
  const failing = (parent: () => Manifest, error: unknown, asked: boolean[]): Target => ({
    ...fakeTarget(data),
    async *capture(
      _: TargetContext,
      { full, pin }: CaptureOptions,
    ): AsyncGenerator<never | { name: string; bytes: AsyncGenerator<Buffer> }, Facts> {
      asked.push(full ?? false);
      if (full) {
        yield { name: 'data', bytes: chunks(Buffer.alloc(5000, 'x')) };
        return facts();
      }
      await pin(parent().id);
      yield {
        name: 'data',
        bytes: (async function* () {
          yield Buffer.alloc(3000, 'y');
          throw error;
        })(),
      };
      return facts({ needs: [{ backup: parent().id }] });
    },
  });

  it('becomes a full one, which says so; nothing of it is left', async () => {
    using r = rig();
    const { manifest } = await r.backup(fakeTarget(data), {}, { random: random() });
    const asked: boolean[] = [];
    const broken = new BkpError('failed', 'pg_basebackup ended with 1');
    const result = await r.backup(
      failing(() => manifest, broken, asked),
      {},
      { random: random() },
    );
    expect(asked).toEqual([false, true]);
    expect(result.manifest).toMatchObject({
      needs: [],
      warnings: ['the incremental backup failed, and a full one was taken instead: pg_basebackup ended with 1'],
    });
    const ids = new Set(r.files('one').map(path => /backups\/([^/]+)/.exec(path)?.[1]));
    expect(ids).toEqual(new Set([manifest.id, result.manifest.id]));
  });

  it('one whose parent went meanwhile does, too', async () => {
    using r = rig();
    const { manifest } = await r.backup(fakeTarget(data), {}, { random: random() });
    const target: Target = {
      ...fakeTarget(data),
      async *capture(_: TargetContext, { full, pin }: CaptureOptions) {
        if (!full) {
          await pin(manifest.id);
          for (const store of ['one', 'two']) lose(r, store, manifest);
        }
        yield { name: 'data', bytes: chunks(Buffer.alloc(5000, 'x')) };
        return facts(full ? {} : { needs: [{ backup: manifest.id }] });
      },
    };
    const result = await r.backup(target, {}, { random: random() });
    expect(result).toMatchObject({
      exit: 'done',
      manifest: { needs: [], warnings: [expect.stringMatching(new RegExp(`a full one was taken instead: .*${manifest.id}`))] },
    });
  });

  it('not when the stores are silent: a full one would not get there either', async () => {
    using r = rig();
    const { manifest } = await r.backup(fakeTarget(data), {}, { random: random() });
    const asked: boolean[] = [];
    const silent = new BkpError('storeUnreachable', 'no store answers');
    await expect(
      r.backup(
        failing(() => manifest, silent, asked),
        {},
        { random: random() },
      ),
    ).rejects.toThrow('no store answers');
    expect(asked).toEqual([false]);
  });
});
