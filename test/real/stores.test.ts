import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { changed, entryOf, lastJson, type Yaml } from './change.ts';
import { cleanUp, type Postgres, runBkp, startBkp, startPostgres, waitFor } from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';
import { filesIn, heldPacker, pathWith } from './stub.ts';

afterAll(cleanUp);

describe('several stores and several entries', () => {
  let db: Postgres;
  let at: Setup;

  const backup = async (run: Setup['run'] = at.run, args: readonly string[] = []) => {
    const { code, stdout, stderr } = await runBkp(['backup', 'postgres', 'app', '--json', ...args], run);
    return { code, result: lastJson(stdout), stderr, stdout };
  };
  const list = async (run: Setup['run'] = at.run, args: readonly string[] = []) => {
    const { code, stdout } = await runBkp(['list', '--json', ...args], run);
    return { code, rows: (lastJson(stdout)['backups'] ?? []) as Yaml[] };
  };
  const lose = () => renameSync(at.stores['offsite']!, `${at.stores['offsite']}.gone`);
  const find = () => renameSync(`${at.stores['offsite']}.gone`, at.stores['offsite']!);
  const needTwo = () =>
    changed(at, config => {
      entryOf(config)['need'] = 2;
    });

  beforeAll(async () => {
    db = await startPostgres({ version: '18' });
  });
  beforeEach(async () => {
    at = await setUp(db);
  });
  afterEach(() => {
    if (existsSync(`${at.stores['offsite']}.gone`)) find();
  });

  it('one store that is not there: partial with exit 3, one copy in the list, and the next backup heals it and says so', async () => {
    lose();
    const first = await backup();
    expect(first.code).toBe(3);
    const [taken] = first.result['backups'];
    expect(taken).toMatchObject({
      exit: 'partial',
      stores: [
        { name: 'local', ok: true },
        { name: 'offsite', ok: false, error: expect.stringContaining(at.stores['offsite']!) },
      ],
    });
    const blind = await list();
    expect(blind.code).toBe(3);
    expect(blind.rows.map(row => row['copies'])).toEqual([{ local: 'whole', offsite: 'unknown' }]);
    find();
    expect((await list()).rows.map(row => row['copies'])).toEqual([{ local: 'whole', offsite: 'absent' }]);
    const second = await backup();
    expect(second.code).toBe(0);
    expect(second.result['backups'][0].healed).toEqual([{ id: taken.id, store: 'offsite' }]);
    expect(second.stdout).toContain(`backup ${taken.id} was missing in store offsite and is there now`);
    const both = await list();
    expect(both.code).toBe(0);
    expect(both.rows.map(row => row['copies'])).toEqual([
      { local: 'whole', offsite: 'whole' },
      { local: 'whole', offsite: 'whole' },
    ]);
    expect(filesIn(at.stores['offsite']!)).toEqual(filesIn(at.stores['local']!));
    expect((await backup()).result['backups'][0].healed).toEqual([]);
  });

  it('a healed copy restores by itself', async () => {
    lose();
    const { result } = await backup();
    find();
    await backup();
    const args = ['restore', 'postgres', '--from-backup', result['backups'][0].id, '--from', 'offsite', '--to', aPlace(), '--yes'];
    renameSync(at.stores['local']!, `${at.stores['local']}.gone`);
    const { code, stderr } = await runBkp(args, at.run);
    renameSync(`${at.stores['local']}.gone`, at.stores['local']!);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('a store that goes away in the middle of a backup: the other one holds it whole', async () => {
    const packer = heldPacker();
    const child = startBkp(['backup', 'postgres', '--json'], { ...at.run, env: { ...at.run.env, PATH: pathWith(packer.dir) } });
    await waitFor(
      () => Object.values(at.stores).every(root => filesIn(root).some(file => file.includes('.tmp-'))),
      'both stores to be written',
    );
    lose();
    packer.go();
    const { code, stdout } = await child.ended;
    expect(code).toBe(3);
    expect(lastJson(stdout)['backups'][0].stores).toMatchObject([{ ok: true }, { name: 'offsite', ok: false }]);
    find();
    expect((await list()).rows.map(row => row['copies'])).toEqual([{ local: 'whole', offsite: 'absent' }]);
    expect(filesIn(at.stores['local']!).filter(file => file.includes('.tmp-'))).toEqual([]);
  });

  it('need: 2 with one store down is no backup: exit 8, nothing listed, nothing left; the next one is whole', async () => {
    for (const lineage of ['new', 'known']) {
      const before = filesIn(at.stores['local']!).filter(file => file.includes('/backups/'));
      lose();
      const { code, result, stderr } = await backup(needTwo());
      find();
      expect({ lineage, code }).toEqual({ lineage, code: 8 });
      expect(result).toMatchObject({ type: 'error', code: 'storeUnreachable', exit: 8 });
      expect(stderr).toMatch(/1 of 2 needed store\(s\)|in 2 store\(s\)/);
      expect(filesIn(at.stores['local']!).filter(file => file.includes('/backups/'))).toEqual(before);
      expect((await list()).rows).toHaveLength(before.length / 2);
      expect((await backup(needTwo())).code).toBe(0);
    }
  });

  it('no store at all: exit 8, and the server is left as it was', async () => {
    const run = changed(at, config => {
      for (const [name, store] of Object.entries<Yaml>(config['environments'].production.stores)) store['path'] = `/nowhere/at-all/${name}`;
    });
    const { code, stderr } = await backup(run);
    expect(code).toBe(8);
    expect(stderr).toContain('/nowhere/at-all');
    expect((await list(run)).code).toBe(8);
    expect(await db.sql('select count(*) from pg_replication_slots')).toBe('0');
  });

  const withBroken = () =>
    changed(at, config => {
      const { postgres } = config['environments'].production;
      config['environments'].production.postgres = { broken: { ...postgres.app, port: 1 }, app: postgres.app };
    });

  it('MO05: bare backup takes every entry, each with a result of its own, and ends with the worst', async () => {
    const { code, stdout } = await runBkp(['backup', '--json'], withBroken());
    expect(code).toBe(1);
    const result = lastJson(stdout);
    expect(result).toMatchObject({
      type: 'result',
      exit: 'failed',
      backups: [
        { kind: 'postgres', name: 'broken', exit: 'failed', error: expect.stringContaining('refused') },
        { kind: 'postgres', name: 'app', exit: 'done', id: expect.stringMatching(/^\d{8}T/) },
      ],
    });
    const text = await runBkp(['backup'], withBroken());
    expect(text.code).toBe(1);
    expect(text.stdout).toMatch(/^postgres\/broken: FAILED: .*refused/m);
    expect(text.stdout).toMatch(/^postgres\/app: \d{8}T\S+, .* local ok, offsite ok$/m);
    expect((await list(withBroken(), ['postgres'])).rows.map(row => row['name'])).toEqual(['app', 'app']);
  });

  it('bare backup: an entry whose secret is missing does not stop the others', async () => {
    const run = changed(at, config => {
      const { postgres } = config['environments'].production;
      config['environments'].production.postgres = { keyless: { ...postgres.app, password: '${NOT_SET_ANYWHERE}' }, app: postgres.app };
    });
    const { code, stdout } = await runBkp(['backup', '--json'], run);
    expect(code).toBe(2);
    expect(lastJson(stdout)['backups']).toMatchObject([
      { name: 'keyless', exit: 'usage', error: expect.stringContaining('NOT_SET_ANYWHERE') },
      { name: 'app', exit: 'done' },
    ]);
  });

  it('two entries never see each other, though one name begins with the other', async () => {
    const run = changed(at, config => {
      const { postgres } = config['environments'].production;
      postgres['app-two'] = { ...postgres.app };
    });
    expect((await runBkp(['backup'], run)).code).toBe(0);
    const names = async (name: string) => (await list(run, ['postgres', name])).rows.map(row => row['name']);
    expect(await names('app')).toEqual(['app']);
    expect(await names('app-two')).toEqual(['app-two']);
  });

  it('backup --list is list', async () => {
    await aBackup(at);
    await aBackup(at);
    for (const words of [[], ['postgres', 'app']]) {
      const alias = await runBkp(['backup', ...words, '--list', '--json'], at.run);
      const own = await runBkp(['list', ...words, '--json'], at.run);
      expect(alias).toEqual(own);
      expect(lastJson(own.stdout)['backups']).toHaveLength(2);
    }
    const [alias, own] = [await runBkp(['backup', 'postgres', '--list'], at.run), await runBkp(['list', 'postgres'], at.run)];
    const ageless = (text: string) => text.replace(/\d+ (ms|s|min) ago +/g, '').replace(/ +/g, ' ');
    expect(ageless(alias.stdout)).toBe(ageless(own.stdout));
    expect((await runBkp(['backup', 'postgres', 'nosuch', '--list'], at.run)).code).toBe(6);
  });

  it('an empty list is said, and is no failure', async () => {
    const { code, stdout } = await runBkp(['list', 'postgres'], at.run);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'no backups of postgres in production yet\n' });
  });

  it('PG21: an object that is gone is DAMAGED in the list, beside the whole copy', async () => {
    await aBackup(at);
    const root = at.stores['offsite']!;
    const object = filesIn(root).find(file => file.endsWith('.000'))!;
    renameSync(join(root, object), join(root, 'aside'));
    const { code, stdout } = await runBkp(['list'], at.run);
    expect(stdout).toMatch(/local ok, offsite DAMAGED/);
    expect([0, 3]).toContain(code);
  });
});
