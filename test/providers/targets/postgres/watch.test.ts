import { describe, expect, it } from '@jest/globals';
import type { Child } from '../../../../src/core/contracts.ts';
import type { Context } from '../../../../src/providers/targets/postgres/chunks.ts';
import type { Spool } from '../../../../src/providers/targets/postgres/spool.ts';
import { Watch } from '../../../../src/providers/targets/postgres/watch.ts';

const GIB = 1024 ** 3;

interface Sight {
  flushed?: string;
  slot?: { status?: string; behind?: number; safe?: number | null } | null;
  /** When the spool was last written. */
  touched?: number;
}

/** Looks at a server once for each sight, five seconds apart; `undefined` = it does not answer. */
async function looks(sights: readonly (Sight | undefined)[]): Promise<{ warned: string[]; ended: (string | undefined)[] }> {
  const warned: string[] = [];
  const ended: (string | undefined)[] = [];
  let now = 0;
  let sight: Sight | undefined;
  const text = async () => {
    if (!sight) throw new Error('no answer');
    const { status = 'reserved', behind = 0, safe = null } = sight.slot ?? {};
    const slot = sight.slot === null ? null : { status, behind: String(behind), safe: safe === null ? null : String(safe) };
    return { stdout: JSON.stringify({ flushed: sight.flushed ?? '0/1000000', slot }), stderr: '' };
  };
  const ctx = {
    name: 'app',
    config: { host: 'none', port: 1, user: 'bkp', database: 'postgres', bin: [] },
    run: { text, which: () => '/bin/true' },
    clock: { now: () => new Date(now) },
    report: { emit: ({ text: said }: { text: string }) => warned.push(said) },
    signal: new AbortController().signal,
  } as unknown as Context;
  const spool = { touched: async () => sight?.touched ?? 0 } as Spool;
  const child = { kill: (signal?: string) => ended.push(signal) } as unknown as Child;
  const watch = new Watch(ctx, spool, child, false);
  for (const each of sights) {
    sight = each;
    await watch.look();
    now += 5000;
  }
  return { warned, ended };
}

const times = <T>(n: number, make: (n: number) => T): T[] => Array.from({ length: n }, (_, each) => make(each));

describe('a look at server and slot', () => {
  it('tells of a slot that grows at each doubling, once, and again after it has shrunk', async () => {
    const grown = (behind: number): Sight => ({ slot: { behind, safe: 5 * GIB } });
    const { warned } = await looks([0.5, 1.5, 1.6, 3, 3.1, 0.1, 1.2].map(n => grown(Math.round(n * GIB))));
    expect(warned).toEqual([
      expect.stringMatching(/the server keeps 1\.5 GiB of WAL.*gives up the slot 5(\.0)? GiB later/),
      expect.stringMatching(/keeps 3(\.0)? GiB/),
      expect.stringMatching(/keeps 1\.2 GiB/),
    ]);
  });

  it('tells of a slot that is about to be given up, and of one that was, once each', async () => {
    const { warned } = await looks(
      ['reserved', 'unreserved', 'unreserved', 'lost', 'lost'].map(status => ({ slot: { status, behind: 4096 } })),
    );
    expect(warned).toEqual([
      expect.stringMatching(/about to give up our slot: 4.* not in enough stores/),
      expect.stringMatching(/gave up our slot/),
    ]);
  });

  it('ends a receiver to which nothing comes though the server goes on, and no other', async () => {
    const idle = await looks(times(20, () => ({})));
    const busy = await looks(times(20, n => ({ flushed: `0/10000${n + 10}`, touched: n })));
    expect([...idle.ended, ...busy.ended]).toEqual([]);
    const stuck = await looks(times(8, n => ({ flushed: `0/10000${n + 10}`, touched: 1 })));
    expect(stuck.ended[0]).toBe('SIGKILL');
    expect(stuck.warned[0]).toMatch(/no WAL has come for \d+ s although the server goes on/);
  });

  it('judges a server that does not answer only where no WAL comes either, for a minute', async () => {
    expect((await looks(times(12, () => undefined))).ended).toEqual([]);
    const silent = await looks(times(16, () => undefined));
    expect(silent.ended[0]).toBe('SIGKILL');
    expect(silent.warned[0]).toMatch(/neither an answer nor WAL/);
    expect((await looks([...times(10, () => undefined), {}, ...times(10, () => undefined)])).ended).toEqual([]);
  });
});
