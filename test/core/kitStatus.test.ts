import { describe, expect, it } from '@jest/globals';
import type { KitCovers, KitRecord } from '../../src/core/kit/record.ts';
import { kitsToGo } from '../../src/core/retention/records.ts';
import { kitStatus, type LastKits } from '../../src/core/status/kit.ts';

const DAY = 86_400_000;
const now = new Date('2026-04-01T00:00:00Z');
const covers: KitCovers = { config: 'one', targets: ['redis/cache'], stores: ['b2'], recipients: ['age1a'] };
const daysAgo = (days: number): string => new Date(now.getTime() - days * DAY).toISOString();
const record = (days: number, change: Partial<KitRecord> = {}): KitRecord => ({
  version: 1,
  id: '20260115T020000Z-4f2a1c',
  env: 'prod',
  did: 'exported',
  at: daysAgo(days),
  tool: 'bkp 1',
  kit: 'k',
  madeAt: daysAgo(days),
  covers,
  ...change,
});
const looked = (last: Partial<LastKits>, asked = false, present = covers) =>
  kitStatus({ silent: [], told: 1, ...last }, present, { ms: 90 * DAY, asked }, now);
const textOf = (status: ReturnType<typeof looked>): string => status.why.map(({ text }) => text).join('; ');

describe('the state of the kit', () => {
  it('is told and not red, unless the config asks for one', () => {
    expect(looked({})).toMatchObject({ state: 'ok', why: [{ state: 'ok', text: 'a kit was never exported' }] });
    expect(looked({}, true)).toMatchObject({ state: 'late', everySeconds: 90 * 86_400 });
  });

  it('a new one of the same config is fine', () => {
    const proven = record(1, { did: 'proven', deep: true });
    expect(looked({ exported: record(2), proven }, true)).toEqual({
      state: 'ok',
      why: [],
      everySeconds: 90 * 86_400,
      exported: { kit: 'k', at: daysAgo(2) },
      proven: { kit: 'k', at: daysAgo(1), deep: true },
    });
  });

  it('a check that did not find it good is told, until one does', () => {
    const failed = record(1, { did: 'failed' });
    const after = looked({ exported: record(3), proven: record(2, { did: 'proven' }), failed }, true);
    expect(after).toMatchObject({ state: 'ok', failed: { kit: 'k', at: daysAgo(1) } });
    expect(textOf(after)).toBe(`the last check, 1 d ago, did not find kit k good: bkp kit check says why`);
    const mended = looked({ exported: record(3), proven: record(0, { did: 'proven' }), failed }, true);
    expect(mended.why).toEqual([]);
    expect(mended).not.toHaveProperty('failed');
  });

  it.each([
    ['a key', { recipients: ['age1a', 'age1b'] }, /older than a key that was added: recipient age1b$/],
    ['a store and a target', { stores: ['b2', 'near'], targets: ['redis/cache', 'etcd/main'] }, /lacks store near, target etcd\/main$/],
    ['what is left says something else', {}, /older than the config: /],
  ])('is older than the config: %s', (_, change, wanted) => {
    const status = looked({ exported: record(1) }, true, { ...covers, config: 'two', ...change });
    expect(status.state).toBe('late');
    expect(textOf(status)).toMatch(wanted);
  });

  it('is too old by its age alone', () => {
    expect(textOf(looked({ exported: record(91) }))).toMatch(/91 d ago, and is to be no older than 90 d/);
    expect(textOf(looked({ exported: record(89) }))).toBe('');
  });

  it('is not known while no store tells, which is not "never"', () => {
    const status = looked({ silent: ['store b2 does not answer'], told: 0 }, true);
    expect(status.state).toBe('unknown');
    expect(textOf(status)).not.toMatch(/never/);
  });
});

describe('records of kits that go', () => {
  const at = (days: number, did: string, n: number) => {
    const id = `${daysAgo(days).replace(/[-:]|\.\d+/g, '')}-00000${n}`;
    return { id, did, at: daysAgo(days) };
  };

  it('are old ones, and never the newest of a deed', () => {
    const kits = [
      at(900, 'proven', 1),
      at(800, 'exported', 2),
      at(500, 'exported', 3),
      at(450, 'failed', 4),
      at(30, 'failed', 5),
      at(20, 'failed', 6),
    ];
    expect(kitsToGo(kits, 400 * DAY, now).map(({ id }) => id.at(-1))).toEqual(['2', '4']);
  });

  it('are never younger than a week, whatever is asked', () => {
    expect(kitsToGo([at(3, 'exported', 1), at(1, 'exported', 2)], 0, now)).toEqual([]);
  });
});
