import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { filesWorld, type World } from './filesWorld.ts';
import { cleanUp, makeConfig, runBkp, startPostgres, stopBkp, tempDir, waitFor } from './rig/index.ts';
import { streamTo } from './setup.ts';

afterAll(cleanUp);

describe('a target of which no store can be asked on this host', () => {
  let at: World;
  let ids: string[];
  const S3 = { type: 's3', endpoint: 'http://127.0.0.1:1', region: 'us-east-1', bucket: 'b', accessKey: 'a', retries: 0 };
  const MISSING = 'environments.production.stores.off.secretKey needs the variable OFF_SECRET: it is not set';

  const run = async (args: readonly string[], env: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await runBkp([...args], { config: at.config.path, env: { ...at.env, ...env } });
    return { code, said: stdout + stderr };
  };

  beforeAll(async () => {
    at = await filesWorld({ one: 'directory', off: { ...S3, secretKey: '${OFF_SECRET}' } });
    writeFileSync(join(at.source, 'a'), 'a');
    const config = parse(readFileSync(at.config.path, 'utf8'));
    const entry = { engine: 'files', paths: [at.source] };
    config.environments.production.volumes = { away: { ...entry, stores: ['off'] }, data: { ...entry, stores: ['one'] } };
    writeFileSync(at.config.path, stringify(config, { lineWidth: 0 }));
    ids = [];
    for (const _ of [1, 2]) ids.push((await at.result(0, 'backup', 'volumes', 'data')).backups[0].id);
  });

  it.each([
    { why: 'its secret is not here', env: {}, reason: MISSING },
    { why: 'it does not answer', env: { OFF_SECRET: 'x' }, reason: 'ECONNREFUSED' },
  ])('$why: prune, verify, list, status and doctor go on with the others and name it', async ({ env, reason }) => {
    const pruned = await run(['prune'], env);
    expect(pruned).toMatchObject({ code: 8, said: expect.stringContaining('volumes/data in store one: 2 backup(s)') });
    expect(pruned.said).toMatch(/^volumes\/away in store off: FAILED: /m);
    expect(pruned.said).toContain(reason);
    const verified = await run(['verify'], env);
    expect(verified).toMatchObject({ code: 8, said: expect.stringMatching(/^volumes\/data +one +2 +2 /m) });
    const listed = await run(['list'], env);
    expect(listed).toMatchObject({ code: 3, said: expect.stringMatching(new RegExp(`volumes/data +${ids[1]}`)) });
    for (const { said } of [verified, listed]) expect(said).toMatch(new RegExp(`^warning volumes/away: .*${reason}`, 'm'));
    const late = await run(['status'], env);
    expect(late).toMatchObject({ code: 10, said: expect.stringMatching(/^ok +volumes\/data +one/m) });
    expect(late.said).toMatch(new RegExp(`^failing +volumes/away in off: .*${reason}`, 'm'));
    const seen = await run(['doctor'], env);
    expect(seen).toMatchObject({ code: 10, said: expect.stringMatching(/^OK +volumes\/data store one: list/m) });
    expect(seen.said).toMatch(new RegExp(`^FAIL +volumes/away store off: .*${reason}`, 'm'));
  });

  it('is all that was asked for: the missing secret is a fault of the config, as it is for `config check`', async () => {
    const refused = { code: 2, said: expect.stringContaining(MISSING) };
    for (const words of [
      ['prune', 'volumes', 'away'],
      ['list', 'volumes', 'away'],
      ['verify', '--from', 'off'],
      ['config', 'check'],
    ])
      expect(await run(words)).toMatchObject(refused);
  });

  it('what is asked of one store is asked of the targets that use it', async () => {
    expect(await run(['list', '--from', 'one'])).toMatchObject({ code: 0, said: expect.stringContaining(ids[0]!) });
    expect(await run(['prune', '--from', 'one'])).toMatchObject({ code: 0, said: expect.not.stringContaining('away') });
  });

  it('where none can be seen, none is said to be missing', async () => {
    const config = parse(readFileSync(at.config.path, 'utf8'));
    config.environments.production.volumes.data.stores = ['off'];
    writeFileSync(join(at.dir, 'blind.yaml'), stringify(config, { lineWidth: 0 }));
    const { code, stdout, stderr } = await runBkp(['list'], { config: join(at.dir, 'blind.yaml'), env: at.env });
    expect({ code, stdout }).toEqual({ code: 8, stdout: '' });
    expect(stderr).toContain(MISSING);
  });
});

describe('a target of which one store cannot be opened on this host, since its secret is not here', () => {
  const MISSING = 'environments.production.stores.off.secretKey needs the variable OFF_SECRET: it is not set';
  let at: World;
  let id: string;

  const bkp = (...args: string[]) => runBkp(args, { config: at.config.path, env: at.env });

  beforeAll(async () => {
    const off = { type: 's3', endpoint: 'http://127.0.0.1:1', region: 'us-east-1', bucket: 'b', accessKey: 'a', retries: 0 };
    at = await filesWorld({ one: 'directory', off: { ...off, secretKey: '${OFF_SECRET}' } });
    writeFileSync(join(at.source, 'a'), 'what was there');
  });

  it('is backed up into the other one: partial, and the missing secret is named', async () => {
    const { code, stdout, stderr } = await bkp('backup');
    expect({ code, said: stdout }).toEqual({ code: 3, said: expect.stringContaining('one ok, off FAILED') });
    expect(stderr).toContain(`warning store off does not hold it: ${MISSING}`);
    id = /data: (\S+),/.exec(stdout)![1]!;
  });

  it('is restored out of the other one, without being told where it is', async () => {
    const to = join(at.dir, 'back');
    const { code, stderr } = await bkp('restore', 'volumes', '--latest', '--to', to, '--yes');
    expect({ code, said: stderr }).toEqual({ code: 0, said: expect.stringContaining(`warning store off: ${MISSING}`) });
    expect(readFileSync(join(to, 'a'), 'utf8')).toBe('what was there');
  });

  it('is listed, drilled and set beside others', async () => {
    expect(await bkp('list', 'volumes', 'data')).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(new RegExp(`${id}.*one ok, off \\?`)),
    });
    expect(await bkp('points')).toMatchObject({ code: 3, stdout: expect.stringMatching(/data +one .*\n.*data +off +nothing/) });
    expect(await bkp('backup', 'full-dr')).toMatchObject({ code: 3, stderr: expect.stringContaining(MISSING) });
    const drilled = await bkp('drill', 'full-dr');
    expect(drilled).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`warning store off did not take the record of this drill: ${MISSING}`),
    });
  });

  it('PostgreSQL: its log is streamed, and it is backed up and comes back', async () => {
    const db = await startPostgres({ version: '15' });
    const off = {
      type: 's3',
      endpoint: 'http://127.0.0.1:1',
      region: 'us-east-1',
      bucket: 'b',
      accessKey: 'a',
      secretKey: '${OFF_SECRET}',
    };
    const postgres = { app: db.entry({ spool: join(tempDir(), 'spool') }) };
    const { path } = await makeConfig({ stores: { one: tempDir(), off }, postgres });
    const run = { config: path, env: db.bkpEnv };
    const stream = await streamTo({ run }, db);
    expect(await runBkp(['backup', 'postgres'], run)).toMatchObject({ code: 3, stdout: expect.stringContaining('one ok, off FAILED') });
    await db.sql('create table t as select 7 as n; select pg_switch_wal()');
    await waitFor(() => /WAL 0+10+3 is in one/.test(stream.output().stderr), 'the segment to be in the store that is there');
    expect(stream.output().stderr).toContain(`warning store off does not take WAL (kept in the spool until it does): ${MISSING}`);
    await stopBkp(stream, 'SIGTERM');
    const to = join(tempDir({ forServer: true }), 'back');
    expect(await runBkp(['restore', 'postgres', '--latest', '--to', to, '--yes'], run)).toMatchObject({ code: 0 });
    const copy = await startPostgres({ version: '15', dir: to });
    expect(await copy.sql('select n from t')).toBe('7');
  });

  it('which alone is asked for: the missing secret is a fault of the config', async () => {
    const to = join(at.dir, 'other');
    for (const words of [
      ['list', '--from', 'off'],
      ['restore', 'volumes', '--latest', '--to', to, '--from', 'off', '--yes'],
    ])
      expect(await bkp(...words)).toMatchObject({ code: 2, stderr: expect.stringContaining(MISSING) });
  });
});
