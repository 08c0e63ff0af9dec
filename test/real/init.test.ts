import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { discover, usual } from '../../src/ops/init/discover.ts';
import { systemRunner } from '../../src/system/runner.ts';
import { cleanUp, freePort, runBkp, startEtcd, startRedis, tempDir } from './rig/index.ts';

afterAll(cleanUp);

describe('what is here', () => {
  it('sockets of PostgreSQL, a Redis that wants a password, etcd by its answer, and nothing that is not there', async () => {
    const sockets = tempDir();
    const socket = createServer().listen(join(sockets, '.s.PGSQL.5433'));
    const [redis, etcd, samba] = [await startRedis(), await startEtcd(), tempDir()];
    await redis.cli('CONFIG', 'SET', 'requirepass', 'secret');
    writeFileSync(join(samba, 'sam.ldb'), '');
    const at = { ...usual(systemRunner), k3s: join(tempDir(), 'none') };
    const found = await discover({
      ...at,
      sockets: [sockets],
      redisPorts: [redis.port, await freePort()],
      etcdPort: Number(new URL(etcd.endpoint).port),
      samba,
    });
    socket.close();
    expect(found).toMatchObject({
      postgres: [{ name: 'app', host: sockets, port: 5433 }],
      redis: [{ name: 'cache', port: redis.port, password: true }],
      etcd: { flavor: 'etcd', endpoint: etcd.endpoint },
      samba: true,
    });
    const nothing = await discover({
      ...at,
      sockets: [tempDir()],
      redisPorts: [await freePort()],
      etcdPort: await freePort(),
      samba: tempDir(),
    });
    expect(nothing).toMatchObject({ postgres: [], redis: [], samba: false });
    expect(nothing.etcd).toBeUndefined();
  });

  it('K3s is told from etcd by its directory', async () => {
    const k3s = tempDir();
    mkdirSync(join(k3s, 'server'));
    expect((await discover({ ...usual(systemRunner), k3s, sockets: [], redisPorts: [], samba: k3s })).etcd).toEqual({ flavor: 'k3s' });
  });
});

describe('bkp init', () => {
  const init = (cwd: string, ...args: string[]) => runBkp(['init', '--json', ...args], { cwd });

  it('writes a config that the next command reads, keys that only the owner reads, and says what comes next', async () => {
    const dir = tempDir();
    const { code, stdout } = await init(dir, '--store', `local=directory:${dir}/store`);
    const result = JSON.parse(stdout.trim().split('\n').at(-1)!);
    expect(code).toBe(0);
    expect(result.next.at(-1)).toBe(`bkp --config ${dir}/bkp.yaml backup`);
    for (const file of result.keys) expect(statSync(file).mode & 0o777).toBe(0o600);
    const env = Object.fromEntries(result.variables.map((name: string) => [name, 'x']));
    const checked = await runBkp(['config', 'check'], { cwd: dir, env });
    expect({ code: checked.code, stderr: checked.stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('overwrites nothing: a config that is there is refused before a key is made, and keys that are there are taken', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'bkp.yaml'), 'theirs');
    const refused = await init(dir);
    expect({ code: refused.code, files: readdirSync(dir), text: readFileSync(join(dir, 'bkp.yaml'), 'utf8') }).toEqual({
      code: 4,
      files: ['bkp.yaml'],
      text: 'theirs',
    });
    expect((await init(dir, '--out', 'one.yaml')).code).toBe(0);
    const before = readFileSync(join(dir, 'keys/identity.txt'), 'utf8');
    const again = await init(dir, '--out', 'two.yaml');
    expect(again.code).toBe(0);
    expect(readFileSync(join(dir, 'keys/identity.txt'), 'utf8')).toBe(before);
    const block = (file: string) => readFileSync(join(dir, file), 'utf8').split('environments:')[0];
    expect(block('two.yaml')).toBe(block('one.yaml'));
  });

  it.each([
    ['--store', 'nonsense'],
    ['--timezone', 'Mars/Phobos'],
  ])('%s %s is refused, and nothing is written', async (...args) => {
    const dir = tempDir();
    const { code } = await init(dir, ...args);
    expect({ code, files: readdirSync(dir) }).toEqual({ code: 2, files: [] });
  });
});
