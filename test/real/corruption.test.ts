import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { RestoreRequest, Want } from '../../src/core/contracts.ts';
import { BkpError } from '../../src/core/errors.ts';
import type { Evidence } from '../../src/core/evidence.ts';
import { readSets } from '../../src/ops/fulldr/sets.ts';
import { keepDrill, newestDrill } from '../../src/ops/records/drill.ts';
import { lastRuns } from '../../src/ops/records/run.ts';
import { restoreTarget } from '../../src/ops/restore.ts';
import { verdict, verifyTarget } from '../../src/ops/verify.ts';
import { type Filled, fill, type Kind, NAMES } from './corruptionSetup.ts';
import { HARMS, harmed } from './harm.ts';
import { cleanUp, tempDir } from './rig/index.ts';

let at: Filled;
beforeAll(async () => {
  at = await fill();
});
beforeEach(() => {
  at.events.length = 0;
});
afterAll(async () => {
  await at?.app.close();
  await cleanUp();
});

/** A kind of object: one that is harmed and an older one like it, and what a restore that needs it is asked for. */
interface Subject {
  kind: Kind;
  keys: () => string[];
  want: () => Want;
  /** It is in one store only. */
  alone?: true;
  /** restic 0.14 asks for ten times, over a minute and a half, before it believes it. */
  slow?: readonly string[];
  /** Only another store, which still has it, shows that it is gone. */
  known?: true;
}

const newest = (kind: Kind) => (): Want => ({ backup: at.ids[kind].at(-1)! });
/** Over both timelines to the open segment. */
const rolled = (): Want => ({ latest: true, backup: at.ids.postgres[0]! });

const ofBackups = (kind: Kind, rest: string) => (): string[] =>
  [...at.ids[kind]].reverse().map(id => at.keysLike(new RegExp(`${kind}/.*/${id}/${rest}`))[0]!);

const SEGMENTS = /wal\/.*\/00000002[0-9A-F]{16}-/;

const SUBJECTS: Readonly<Record<string, Subject>> = {
  'a manifest': { kind: 'redis', keys: ofBackups('redis', 'manifest\\.json$'), want: newest('redis'), known: true },
  'a manifest of PostgreSQL': { kind: 'postgres', keys: ofBackups('postgres', 'manifest\\.json$'), want: newest('postgres'), known: true },
  'a base': { kind: 'postgres', keys: ofBackups('postgres', 'base.*\\.000$'), want: newest('postgres') },
  'a segment of WAL': { kind: 'postgres', keys: () => at.keysLike(SEGMENTS).slice(1, 3).reverse(), want: rolled },
  'a part of the open segment': {
    kind: 'postgres',
    keys: () => at.keysLike(/wal\/.*\/[0-9A-F]{24}\/[0-9A-F]{8}-/).slice(-2),
    want: rolled,
    alone: true,
  },
  'a history': { kind: 'postgres', keys: () => [at.keysLike(/00000002\.history/)[0]!, at.keysLike(SEGMENTS)[0]!], want: rolled },
  'a dump of Redis': { kind: 'redis', keys: ofBackups('redis', '.*\\.000$'), want: newest('redis') },
  'a snapshot of etcd': { kind: 'etcd', keys: ofBackups('etcd', '.*\\.000$'), want: newest('etcd') },
  'a snapshot of files': { kind: 'volumes', keys: () => at.snapshots, want: newest('volumes') },
  'a pack of files': { kind: 'volumes', keys: () => at.packs, want: newest('volumes'), slow: ['that is gone', 'that was cut'] },
};

const told = (): string[] => at.events.flatMap(event => ('text' in event ? [event.text] : []));

async function verified({ kind, known }: Subject) {
  const { target, ctx } = at.app.target(undefined, kind, NAMES[kind], known ? {} : { from: 'local' });
  const results = await verifyTarget(target, ctx, { deep: true, prove: false, random: () => Buffer.alloc(16, 5) });
  const bad = results
    .flatMap(({ findings }) => findings)
    .filter(({ store, state }) => store === 'local' && !['note', 'stray'].includes(state));
  return { exit: verdict(results), said: bad.map(({ key = '', text, breaks = [] }) => [key, text, ...breaks].join('\n')).join('\n') };
}

/** How a restore out of one store, or out of all, ends, and what it says on the way. */
async function restored({ kind, want }: Subject, from?: string): Promise<{ exit: string; said: string }> {
  const { target, ctx } = at.app.target(undefined, kind, NAMES[kind], from ? { from } : {});
  const to = join(tempDir({ forServer: true }), 'back');
  const request: RestoreRequest = { want: want(), to, options: {}, force: false, serve: false, dryRun: false, confirm: async () => {} };
  try {
    await restoreTarget(target, ctx, request, Buffer.alloc(16, 5));
    return { exit: 'done', said: told().join('\n') };
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    return { exit: error.exit, said: [error.message, ...error.next, ...told()].join('\n') };
  } finally {
    rmSync(to, { recursive: true, force: true });
  }
}

/** Names by which an object may be told: its key, the WAL file in it, its backup, or its short name in a repository of files. */
function namesOf(key: string): string[] {
  const wal = /\/([0-9A-F]{24}|[0-9A-F]{8}\.history)[-/]/.exec(key)?.[1];
  const id = /backups\/([^/]+)\//.exec(key)?.[1];
  // restic shortens its names, and a snapshot stands for the backup that it is of.
  const restic = key.includes('/restic/') ? [key.split('/').at(-1)!.slice(0, 8), at.ids.volumes.at(-1)!] : [];
  return [key, ...restic, ...[wal, id].filter(name => name !== undefined)];
}
const names = (said: string, key: string): boolean => namesOf(key).some(name => said.includes(name));

describe('what nobody has touched', () => {
  it.each(Object.keys(SUBJECTS))('%s: two of them, verify finds nothing, and out of this store it comes back', async name => {
    const subject = SUBJECTS[name]!;
    expect(subject.keys().filter(Boolean).slice(0, 2)).toHaveLength(2);
    expect(await verified(subject)).toEqual({ exit: 'done', said: '' });
    expect((await restored(subject, 'local')).exit).toBe('done');
  });
});

describe.each(Object.keys(SUBJECTS))('%s', name => {
  const subject = SUBJECTS[name]!;
  const harm = (how: string, work: (key: string) => Promise<void>): Promise<void> => {
    const [key, other] = subject.keys() as [string, string];
    return harmed(HARMS[how]!, join(at.stores.local, key), join(at.stores.local, other), () => work(key));
  };

  it.each(Object.keys(HARMS).filter(how => !subject.slow?.includes(how)))(
    '%s: verify names it, and a restore out of this store ends by name',
    how =>
      harm(how, async key => {
        const { exit, said } = await verified(subject);
        expect({ exit, said: names(said, key) ? 'its name' : said }).toEqual({ exit: 'verifyFailed', said: 'its name' });
        const back = await restored(subject, 'local');
        expect({ exit: back.exit, said: names(back.said, key) ? 'its name' : back.said }).toEqual({
          exit: expect.not.stringMatching(/^done$/),
          said: 'its name',
        });
      }),
  );

  if (!subject.alone)
    it('with a bit that flipped: with the other store it comes back, and the harm is told', () =>
      harm('with a bit that flipped', async key => {
        const { exit, said } = await restored(subject);
        expect({ exit, said: names(said, key) ? 'its name' : said }).toEqual({ exit: 'done', said: 'its name' });
      }));
});

describe('records, which are told and passed over', () => {
  const store = () => at.app.target(undefined, 'redis', 'cache', { from: 'local' }).ctx;
  const twice = (pattern: RegExp): [string, string] => {
    const [key, other] = at.keysLike(pattern).reverse();
    if (key === undefined || other === undefined) throw new Error(`there are no two keys like ${pattern}`);
    return [key, other];
  };
  const harm = ([key, other]: [string, string], how: string, work: () => Promise<void>): Promise<void> =>
    harmed(HARMS[how]!, join(at.stores.local, key), join(at.stores.local, other), work);
  const isGone = (how: string): boolean => how === 'that is gone';

  it.each(Object.keys(HARMS))('the record of a run %s: the one before counts', async how => {
    const ctx = store();
    for (let n = 0; n < 2; n += 1) expect((await verified(SUBJECTS['a dump of Redis']!)).exit).toBe('done');
    const before = (await lastRuns(ctx, ctx.stores[0]!, ['verify'])).verify?.success?.finishedAt;
    const keys = twice(/runs\/redis\/cache\/verify\/.*\.done\.json$/);
    await harm(keys, how, async () => {
      at.events.length = 0;
      const now = (await lastRuns(ctx, ctx.stores[0]!, ['verify'])).verify?.success?.finishedAt;
      expect(now === undefined || now < before!).toBe(true);
      expect(told().some(text => text.includes(keys[0]))).toBe(!isGone(how));
    });
  });

  it.each(Object.keys(HARMS))('a set %s: the copy in the other store counts', async how => {
    const keys = twice(/\/sets\//);
    const id = keys[0].split('/').at(-1)!.replace('.json', '');
    await harm(keys, how, async () => {
      const { sets, problems } = await readSets(at.app.stack(undefined));
      expect(sets.find(({ set }) => set.id === id)?.stores).toEqual(['offsite']);
      expect(problems.some(({ key }) => key === keys[0])).toBe(!isGone(how));
    });
  });

  it.each(Object.keys(HARMS))('the record of a drill %s: an older one counts', async how => {
    const { stores, keys, report } = store();
    const records = { section: 'bkp/production/drills', keys, report };
    for (const day of [1, 2]) await keepDrill(stores, evidenceOf(day), records);
    const pair = twice(/production\/drills\//);
    await harm(pair, how, async () => {
      at.events.length = 0;
      const expected = how === 'exchanged with another' ? undefined : evidenceOf(1).id;
      expect((await newestDrill(stores[0]!, records))?.id).toBe(expected);
      expect(told().some(text => text.includes(pair[0]))).toBe(!isGone(how));
    });
    await stores[0]!.remove(pair);
  });
});

const evidenceOf = (day: number): Evidence => ({
  version: 1,
  id: `2026010${day}T020000Z-4f2a1c`,
  env: 'production',
  drilledIn: 'production',
  scope: 'redis/cache',
  tool: 'bkp 0',
  startedAt: `2026-01-0${day}T02:00:00.000Z`,
  finishedAt: `2026-01-0${day}T02:01:00.000Z`,
  result: 'passed',
  targets: [{ kind: 'redis', name: 'cache', engine: 'rdb', wave: 0, result: 'passed', checks: [] }],
});
