import { describe, expect, it } from '@jest/globals';
import { BkpError } from '../../../src/core/errors.ts';
import { putBytes } from '../../../src/flow/bytes.ts';
import { lastRuns, type RunRecord, recordRun } from '../../../src/ops/records/run.ts';
import { keySet } from '../rig.ts';
import { type World, world } from './world.ts';

const run = (minute: number, change: Partial<RunRecord> = {}): RunRecord => ({
  version: 1,
  verb: 'backup',
  startedAt: new Date(Date.UTC(2026, 0, 15, 2, minute)).toISOString(),
  finishedAt: new Date(Date.UTC(2026, 0, 15, 3, minute)).toISOString(),
  exit: 'done',
  ...change,
});

const nonce = (n: number): Buffer => Buffer.from([1, 2, n]);
const record = (w: World, n: number, change?: Partial<RunRecord>) => recordRun(w.ctx, [w.store], run(n, change), nonce(n));
const last = (w: World) => lastRuns(w.ctx, w.store);

describe('the last runs', () => {
  it('of each verb, the newest that ended well and the newest that did not', async () => {
    const w = world();
    expect(await last(w)).toEqual({});
    await record(w, 1);
    await record(w, 2, { exit: 'partial', details: { stores: ['one'] } });
    await record(w, 3, { exit: 'storeUnreachable', message: 'no route to host' });
    await record(w, 4, { verb: 'prune', exit: 'refused' });
    await record(w, 5, { verb: 'drill' });
    expect(await last(w)).toEqual({
      backup: {
        success: run(2, { exit: 'partial', details: { stores: ['one'] } }),
        failure: run(3, { exit: 'storeUnreachable', message: 'no route to host' }),
      },
      prune: { failure: run(4, { verb: 'prune', exit: 'refused' }) },
      drill: { success: run(5, { verb: 'drill' }) },
    });
    expect(w.events).toEqual([]);
  });

  it('are found by name: one object is read for each answer, however many there are', async () => {
    const w = world();
    for (let n = 0; n < 8; n += 1) await record(w, n, n % 2 ? {} : { exit: 'failed' });
    const calls: string[] = [];
    w.store.options.fail = call => void calls.push(call);
    await last(w);
    expect(calls).toEqual(['list', 'get', 'get']);
  });

  it('are told in one line, however many are passed over: after a new signing key alone it is all of them', async () => {
    const w = world();
    await record(w, 1);
    for (const n of [2, 3, 4]) await recordRun({ ...w.ctx, keys: keySet().keys }, [w.store], run(n), nonce(n));
    expect(await last(w)).toEqual({ backup: { success: run(1) } });
    expect(w.said('warning')).toEqual([
      expect.stringMatching(/^3 records of a run are passed over, the newest since .*T030400.* is not signed by a key of keys\.trusted/),
    ]);
  });

  it('go back to the next older one, with a warning, when the newest was signed by nobody we trust', async () => {
    const w = world();
    await record(w, 1);
    await recordRun({ ...w.ctx, keys: keySet().keys }, [w.store], run(2), nonce(2));
    const [key] = w.keys().filter(each => each.includes('T030200'));
    expect(await last(w)).toEqual({ backup: { success: run(1) } });
    expect(w.said('warning')).toEqual([expect.stringContaining('is not signed by a key of keys.trusted')]);
    await putBytes(w.store, key!, Buffer.from('{"version":1}\n'));
    expect(await last(w)).toEqual({ backup: { success: run(1) } });
    expect(w.said('warning')[1]).toContain('carries no signature');
  });

  it('believe no record under another name, of another target, or as another outcome', async () => {
    const w = world();
    await record(w, 1);
    await record(w, 2, { exit: 'failed' });
    const [done, failed] = w.keys() as [string, string];
    const copy = (from: string, to: string) => w.store.objects.set(to, w.store.objects.get(from)!);
    copy(done, done.replace('T030100', 'T090000'));
    copy(failed, failed.replace('.failed.', '.done.').replace('T030200', 'T090100'));
    copy(done, done.replace('/backup/', '/prune/'));
    copy(done, done.replace('/app/', '/app-two/'));
    expect(await last(w)).toEqual({ backup: { success: run(1), failure: run(2, { exit: 'failed' }) } });
    expect(await lastRuns({ ...w.ctx, base: 'prod/fake/app-two', name: 'app-two' }, w.store)).toEqual({});
  });

  it('a store that does not answer is no answer', async () => {
    const w = world();
    await record(w, 1, { exit: 'failed' });
    w.store.options.fail = call => {
      if (call === 'get') throw new BkpError('storeUnreachable', 'store one does not answer');
    };
    await expect(last(w)).rejects.toMatchObject({ exit: 'storeUnreachable' });
  });
});

describe('recording a run', () => {
  it('keeps the newest ten, and the newest success and failure however old', async () => {
    const w = world();
    await record(w, 0);
    await record(w, 1);
    await record(w, 2, { verb: 'verify' });
    for (let n = 10; n < 25; n += 1) await record(w, n, { exit: 'failed', message: `${n}` });
    const left = w.keys().map(key => /T03(\d\d)/.exec(key)![1]);
    expect(left.sort()).toEqual(['01', '02', ...Array.from({ length: 10 }, (_, n) => `${15 + n}`)]);
    expect((await last(w)).backup).toMatchObject({ success: run(1), failure: { message: '24' } });
  });

  it('one that ended in the future, by a wrong clock, is not the last one, and takes the place of none', async () => {
    const w = world();
    const future = (n: number): string => new Date(w.ctx.clock.now().getTime() + 365 * 86_400_000 + n).toISOString();
    await record(w, 0);
    await record(w, 1, { exit: 'failed', message: 'really' });
    for (let n = 0; n < 20; n += 1)
      await recordRun(w.ctx, [w.store], run(0, { finishedAt: future(n), exit: n % 2 ? 'failed' : 'done' }), nonce(n));
    expect((await last(w)).backup).toMatchObject({ success: run(0), failure: { message: 'really' } });
  });

  it('two in one second are told apart, and the later one is the newer', async () => {
    const w = world();
    const times = ['2026-01-15T02:00:00.100Z', '2026-01-15T02:00:00.900Z'];
    for (const [n, finishedAt] of times.entries()) await recordRun(w.ctx, [w.store], run(0, { finishedAt }), nonce(9 - n));
    expect((await last(w)).backup?.success?.finishedAt).toBe(times[1]);
  });

  it('a store that does not take it is a warning; the others have it', async () => {
    const w = world();
    w.store.options.fail = call => {
      if (call === 'put') throw new BkpError('storeUnreachable', 'store one is read-only');
    };
    await recordRun(w.ctx, w.ctx.stores, run(1), nonce(1));
    expect(w.said('warning')).toEqual(['store one did not take the record of this backup: store one is read-only']);
    expect((await lastRuns(w.ctx, w.other)).backup?.success).toEqual(run(1));
  });

  it('S17: a store that removes none goes on taking them, without a word', async () => {
    const w = world({ keeps: () => true });
    for (let n = 0; n < 15; n += 1) await record(w, n);
    expect(w.keys()).toHaveLength(15);
    expect(w.events).toEqual([]);
  });

  it('a host without a signing key, or with one that nobody trusts, says so in a note', async () => {
    const w = world();
    const sign = () => {
      throw new BkpError('usage', 'this host has no keys.signing');
    };
    await recordRun({ ...w.ctx, keys: { ...w.ctx.keys, sign } }, w.ctx.stores, run(1), nonce(1));
    await recordRun({ ...w.ctx, keys: { ...w.ctx.keys, verify: () => false } }, w.ctx.stores, run(1), nonce(1));
    expect(w.said('note')).toEqual([
      'this run is not recorded in the stores: this host has no keys.signing',
      expect.stringContaining('is not among keys.trusted'),
    ]);
    expect(w.keys()).toEqual([]);
    expect(w.said('warning')).toEqual([]);
  });

  it('takes secrets out of every text, however deep', async () => {
    const w = world();
    const secretly = run(1, { exit: 'failed', message: 'password hunter22 refused', details: { list: [{ url: 'x:hunter22@y' }], n: 3 } });
    const redact = (text: string) => text.replaceAll('hunter22', '[redacted]');
    await recordRun({ ...w.ctx, redact }, [w.store], secretly, nonce(1));
    expect(w.store.objects.get(w.keys()[0]!)!.bytes.toString()).not.toContain('hunter22');
    expect((await last(w)).backup?.failure).toMatchObject({
      message: 'password [redacted] refused',
      details: { list: [{ url: 'x:[redacted]@y' }], n: 3 },
    });
  });
});
