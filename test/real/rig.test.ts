import { existsSync, statSync } from 'node:fs';
import { afterAll, describe, expect, test } from '@jest/globals';
import { cleanUp, isAlive, node24, type Postgres, type PostgresVersion, root, run, start, startPostgres, waitFor } from './rig/index.ts';

afterAll(cleanUp);

const asBkp = (server: Postgres, database: string, sql: string) =>
  run(server.tool('psql'), ['-XAt', '-d', `host=127.0.0.1 port=${server.port} user=bkp ${database}`, '-c', sql], {
    env: { PGPASSWORD: server.role.password },
  });

describe.each<PostgresVersion>(['15', '18'])('PostgreSQL %s of the rig', version => {
  test('starts under an unprivileged account, with role bkp, and leaves nothing', async () => {
    const server = await startPostgres({ version, settings: { work_mem: '7MB' } });
    const pid = server.pid ?? 0;
    expect(await server.sql('show server_version')).toMatch(new RegExp(`^${version}\\.`));
    expect(await server.sql('show work_mem')).toBe('7MB');
    expect(statSync(`/proc/${pid}`).uid).not.toBe(0);
    expect((await asBkp(server, 'replication=true', 'IDENTIFY_SYSTEM')).stdout).toMatch(/^\d{15,20}\|1\|/);
    expect((await asBkp(server, 'dbname=postgres', 'select session_user')).stdout).toBe('bkp\n');
    await expect(server.sql('select nothing_there')).rejects.toThrow('nothing_there');
    await server.destroy();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(server.home)).toBe(false);
  });

  test('comes back after kill -9 with what was committed, and serves a directory handed in', async () => {
    const server = await startPostgres({ version });
    await server.sql('create table kept(n int); insert into kept values (1), (2)');
    await server.kill9();
    expect(server.pid).toBeUndefined();
    await server.start();
    expect(await server.rows('select n, n * 2 from kept order by n')).toEqual([
      ['1', '2'],
      ['2', '4'],
    ]);
    await server.stop();
    const again = await startPostgres({ version, dir: server.dataDir });
    expect(await again.sql('select count(*) from kept')).toBe('2');
    await again.destroy();
    expect(existsSync(server.dataDir)).toBe(true);
    server.loseDisk();
    await expect(server.start()).rejects.toThrow(`PostgreSQL ${version} ended at its start`);
    await server.destroy();
  });
});

test('two clusters never share a system identifier', async () => {
  const servers = [await startPostgres({ version: '18' }), await startPostgres({ version: '18' })];
  const ids = await Promise.all(servers.map(server => server.sql('select system_identifier from pg_control_system()')));
  expect(new Set(ids).size).toBe(2);
  for (const server of servers) await server.destroy();
});

test('a process that is killed outright leaves neither a server nor a directory', async () => {
  const script = `import { startPostgres } from '${root}/test/real/rig/index.ts';
    const server = await startPostgres({ version: '15' });
    console.log(JSON.stringify({ pid: server.pid, home: server.home }));
    setInterval(() => {}, 1000);`;
  const victim = start(node24(), ['--no-warnings', '--input-type=module-typescript', '-e', script]);
  const line = await waitFor(
    () =>
      victim
        .output()
        .stdout.split('\n')
        .find(text => text.startsWith('{')),
    'the server to start',
  );
  const { pid, home } = JSON.parse(line);
  expect(isAlive(pid)).toBe(true);
  victim.kill('SIGKILL');
  await victim.ended;
  await waitFor(() => !isAlive(pid) && !existsSync(home), 'the guard to clean up');
});
