import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { CommanderError } from 'commander';
import { holdCommand } from '../../../src/commands/hold.ts';
import { locksCommand } from '../../../src/commands/locks.ts';
import type { Run, Session } from '../../../src/commands/session.ts';
import type { TargetContext } from '../../../src/core/contracts.ts';
import { BkpError } from '../../../src/core/errors.ts';
import { putBytes } from '../../../src/flow/bytes.ts';
import { withLease } from '../../../src/ops/records/lease.ts';
import { chunks, fakeTarget, type Rig, rig } from '../rig.ts';

const target = fakeTarget(() => ({ data: chunks(Buffer.from('data')) }));

interface Ended {
  exit: string;
  json: Record<string, unknown>;
  text: string;
  next: readonly string[];
}

/** An environment with the targets `fake/db` and `fake/app`, and before them those of which a secret is not here. */
function sessionOf(r: Rig, ended: Partial<Ended>, closed: readonly string[]): Session {
  const contexts: Record<string, TargetContext> = {
    'fake/db': r.context({ name: 'db', base: 'prod/fake/db' }),
    'fake/app': r.ctx,
  };
  const app = {
    config: { timezone: 'Europe/Berlin' },
    env: () => ({ name: 'prod' }),
    select: (_env: string, kind?: string, name?: string) => {
      const all = [...closed, ...Object.keys(contexts)].map(each => ({ kind: each.split('/')[0]!, name: each.split('/')[1]! }));
      return all.filter(each => (kind === undefined || each.kind === kind) && (name === undefined || each.name === name));
    },
    target: (_env: string, kind: string, name: string) => {
      const ctx = contexts[`${kind}/${name}`];
      if (!ctx) throw new BkpError('usage', 'S3_SECRET is not set');
      return { ctx };
    },
    stack: () => ({ ...r.ctx, base: 'prod' }),
    *targets(env: string, kind?: string, name?: string) {
      for (const each of app.select(env, kind, name)) yield app.target(env, each.kind, each.name);
    },
  };
  const session = {
    options: {},
    report: r.ctx.report,
    signal: r.ctx.signal,
    app,
    version: '0',
    result: (json: Record<string, unknown>, text: readonly string[]) => void Object.assign(ended, { json, text: text.join('\n') }),
  };
  return session as unknown as Session;
}

/** Runs a command line as the program would. */
async function bkp(
  r: Rig,
  line: string,
  { more = [], closed = ['other/shop'] }: { more?: string[]; closed?: string[] } = {},
): Promise<Ended> {
  const ended: Partial<Ended> = {};
  const run: Run = async action => {
    ended.exit = await action(sessionOf(r, ended, closed));
  };
  const [verb, ...words] = [...line.split(' '), ...more];
  const command = (verb === 'hold' ? holdCommand(run) : locksCommand(run)).exitOverride().configureOutput({ writeErr: () => {} });
  for (const each of command.commands) each.exitOverride().configureOutput({ writeErr: () => {} });
  try {
    await command.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) ended.exit = 'usage';
    else Object.assign(ended, { exit: (error as BkpError).exit, text: (error as BkpError).message, next: (error as BkpError).next });
  }
  return ended as Ended;
}

const idOf = async (r: Rig): Promise<string> => (await r.backup(target)).manifest.id;

describe('bkp hold', () => {
  it('finds the backup by its id in whichever target, holds it, lists it, and lets go of it', async () => {
    using r = rig();
    const id = await idOf(r);
    const made = await bkp(r, `hold ${id} --until 2099-01-01 --reason`, { more: ['audit of 2026'] });
    expect(made).toMatchObject({
      exit: 'done',
      text: expect.stringMatching(new RegExp(`^${id} of fake/app is held until 2098-12-31 23:00:00Z \\(in .* d\\): one ok, two ok$`)),
      json: { id, target: 'fake/app', action: 'hold', until: '2098-12-31T23:00:00.000Z', reason: 'audit of 2026', exit: 'done' },
    });
    const list = await bkp(r, 'hold --list fake');
    expect(list).toMatchObject({
      exit: 'done',
      json: { env: 'prod', holds: [{ id, target: 'fake/app', stores: ['one', 'two'], ended: false, reason: 'audit of 2026' }] },
    });
    expect(list.text).toMatch(new RegExp(`fake/app +${id} +one, two +2098-12-31 23:00:00Z +audit of 2026`));
    expect((await bkp(r, 'hold --list fake db')).text).toBe('no holds on backups of fake in prod');
    expect(await bkp(r, `hold ${id} --release`)).toMatchObject({ exit: 'done', json: { action: 'release' } });
    expect((await bkp(r, 'hold --list fake')).json).toMatchObject({ holds: [] });
  });

  it('a store that is away: exit 3 and its name; all away: exit 8', async () => {
    using r = rig();
    const id = await idOf(r);
    rmSync(join(r.dir, 'two'), { recursive: true });
    const half = await bkp(r, `hold ${id} --reason audit`);
    expect(half).toMatchObject({ exit: 'partial', text: expect.stringMatching(/one ok, two FAILED \(.*is not there/) });
    expect((await bkp(r, 'hold --list fake app')).exit).toBe('partial');
    expect(r.events).toContainEqual({ type: 'warning', text: expect.stringContaining('fake/app, store two') });
    rmSync(join(r.dir, 'one'), { recursive: true });
    expect((await bkp(r, `hold ${id} --reason audit`)).exit).toBe('storeUnreachable');
    expect((await bkp(r, 'hold --list fake app')).exit).toBe('storeUnreachable');
    for (const name of ['one', 'two']) mkdirSync(join(r.dir, name));
  });

  it('an id that is in no target is not found, unless one could not be asked', async () => {
    using r = rig();
    const unknown = '20260115T020000Z-4f2a1c';
    for (const line of [`hold ${unknown} --reason audit`, `hold ${unknown} --release`]) {
      expect(await bkp(r, line)).toMatchObject({ exit: 'usage', text: 'S3_SECRET is not set' });
      expect(await bkp(r, line, { closed: [] })).toMatchObject({ exit: 'notFound', text: expect.stringContaining(unknown) });
    }
  });

  it.each([
    'hold',
    'hold --reason x',
    'hold nonsense --reason x',
    'hold 20260115T020000Z-4f2a1c',
    'hold 20260115T020000Z-4f2a1c app --reason x',
    'hold 20260115T020000Z-4f2a1c --until 2099-01-01',
    'hold 20260115T020000Z-4f2a1c --until 2020-01-01 --reason x',
    'hold 20260115T020000Z-4f2a1c --until soon --reason x',
    'hold 20260115T020000Z-4f2a1c --release --reason x',
    'hold --release',
    'hold --list --release',
    'hold --list --reason x',
  ])('%s is refused as misuse', async line => {
    using r = rig();
    expect((await bkp(r, line)).exit).toBe('usage');
  });
});

describe('bkp locks', () => {
  const nonce = Buffer.alloc(16, 3);

  it('CF10: shows a live one and refuses to release it, whatever is typed', async () => {
    using r = rig();
    await withLease(r.ctx, r.stores[1]!, 'prune', nonce, async held => {
      const list = await bkp(r, 'locks list fake');
      expect(list).toMatchObject({
        exit: 'done',
        json: {
          env: 'prod',
          locks: [
            { target: 'fake/app', store: 'two', what: 'prune', state: 'live', key: held.key, owner: expect.stringMatching(/.\/\d+/) },
          ],
        },
      });
      expect(list.text).toMatch(/fake\/app +two +prune +\S+\/\d+ +\d{4}-.*Z +\d{4}-.*Z +live +prod\/leases\/fake\/app\/prune\/1-/);
      const refused = await bkp(r, `locks release ${held.key}`);
      expect(refused).toMatchObject({ exit: 'conflict', text: expect.stringMatching(/holds the lease .*live until/) });
      expect((await bkp(r, `locks release --force ${held.key}`)).exit).toBe('usage');
      await held.check();
    });
    expect((await bkp(r, 'locks list fake')).text).toBe('no locks in prod');
  });

  it('CF09: removes an expired one; a key that nobody has is not found', async () => {
    using r = rig();
    const key = 'prod/leases/fake/app/prune/3-00ff.json';
    await putBytes(r.stores[0]!, key, Buffer.from('{}'));
    const { utimesSync } = await import('node:fs');
    const old = new Date(Date.now() - 181_000);
    utimesSync(join(r.dir, 'one', key), old, old);
    expect((await bkp(r, 'locks list fake')).text).toMatch(/expired/);
    expect(await bkp(r, `locks release ${key}`)).toMatchObject({
      exit: 'done',
      json: { released: { key, store: 'one', state: 'expired', owner: null, startedAt: null } },
    });
    expect(r.files('one')).toEqual([]);
    expect((await bkp(r, `locks release ${key}`, { closed: [] })).exit).toBe('notFound');
    expect((await bkp(r, 'locks release')).exit).toBe('usage');
  });
});
