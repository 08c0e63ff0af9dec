import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { lastJson } from './change.ts';
import { INCREMENTS, take, ZONE } from './incrementWorld.ts';
import { cleanUp, runBkp, startPostgres, tempDir } from './rig/index.ts';
import { aPlace, setUp } from './setup.ts';

afterAll(cleanUp);

it('a chain of a cluster with tablespaces, one of them new and one gone since, comes back to new places', async () => {
  const db = await startPostgres({ version: '18', settings: { summarize_wal: 'on' } });
  const at = await setUp(db, { entry: INCREMENTS, top: ZONE });
  const there: Record<string, string> = {};
  const space = async (name: string): Promise<void> => {
    there[name] = join(tempDir({ forServer: true }), `the ${name} one`);
    await db.sql(
      `copy (select 1) to program 'cat > /dev/null; mkdir -m 700 "${there[name]}"'; create tablespace ${name} location '${there[name]}'`,
    );
    await db.sql(`create table in_${name} tablespace ${name} as select n, md5(n::text) as m from generate_series(1, 5000) n`);
  };
  await space('fast');
  await space('going');
  const full = await take(at);
  await db.sql("update in_fast set m = 'changed' where n = 1; drop table in_going; drop tablespace going");
  await space('coming');
  const last = await take(at);
  expect([full, last]).toMatchObject([{ warnings: [] }, { base: 'incremental', parent: full['id'], warnings: [] }]);
  const proven = await runBkp(['drill', 'postgres', '--store', 'local', '--json'], at.run);
  expect({ code: proven.code, said: proven.code === 0 ? '' : proven.stdout + proven.stderr }).toEqual({ code: 0, said: '' });
  const [to, fast, coming] = [aPlace(), join(tempDir({ forServer: true }), 'a=b'), aPlace()];
  const spaces = ['--tablespace', `${there['fast']}=${fast}`, '--tablespace', `coming=${coming}`];
  const args = ['restore', 'postgres', 'app', '--from-backup', last['id'], '--to', to, '--yes', '--json', ...spaces];
  const { code, stdout, stderr } = await runBkp(args, at.run);
  expect({ code, said: code === 0 ? '' : stderr }).toEqual({ code: 0, said: '' });
  expect(lastJson(stdout)['facts'].tablespaces).toEqual({ fast, coming });
  const links = readdirSync(join(to, 'pg_tblspc')).map(oid => readlinkSync(join(to, 'pg_tblspc', oid)));
  expect(links.sort()).toEqual([fast, coming].sort());
  for (const dir of [to, fast, coming]) expect(readdirSync(dir).filter(name => name.startsWith('BKP_'))).toEqual([]);
  const copy = await startPostgres({ version: '18', dir: to });
  expect(await copy.sql("select (select count(*) from in_fast where m = 'changed'), (select count(*) from in_coming)")).toBe('1|5000');
  await copy.destroy();
});
