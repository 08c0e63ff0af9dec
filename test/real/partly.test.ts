import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { filesWorld, type World } from './filesWorld.ts';
import { cleanUp, runBkp } from './rig/index.ts';

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
    { why: 'its secret is not here', env: {}, reason: MISSING, prune: 3 },
    { why: 'it does not answer', env: { OFF_SECRET: 'x' }, reason: 'ECONNREFUSED', prune: 8 },
  ])('$why: prune, verify, list, status and doctor go on with the others and name it', async ({ env, reason, prune }) => {
    const pruned = await run(['prune'], env);
    expect(pruned).toMatchObject({ code: prune, said: expect.stringContaining('volumes/data in store one: 2 backup(s)') });
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
