import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, type Postgres, runBkp, startPostgres, tempDir } from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';
import { filesIn } from './stub.ts';

afterAll(cleanUp);

describe('places that a restore must never touch', () => {
  let db: Postgres;
  let at: Setup;

  const restore = (to: string, flags: readonly string[] = []) =>
    runBkp(['restore', 'postgres', 'app', '--latest', '--yes', '--to', to, ...flags], at.run);
  /** Where a directory was moved to, if it was; it is put back at once, so that the other tests find it. */
  function putBack(path: string): string[] {
    const aside = readdirSync(dirname(path)).filter(name => name.startsWith(`${basename(path)}.before-`));
    for (const name of aside) {
      rmSync(path, { recursive: true, force: true });
      renameSync(join(dirname(path), name), path);
    }
    return aside;
  }

  beforeAll(async () => {
    db = await startPostgres({ version: '18' });
    at = await setUp(db);
    mkdirSync(at.spool);
    writeFileSync(join(at.spool, '000000010000000000000001.partial'), 'x');
    await aBackup(at);
  });

  it.each([
    ['one level down', ['inner']],
    ['two levels down', ['base', 'deep']],
    ['three levels down', ['base', 'deeper', 'inner']],
  ])('PG12: inside a data directory, %s, forced or not', async (_, below) => {
    const to = join(db.dataDir, ...below);
    for (const flags of [[], ['--force']]) {
      const { code, stderr } = await restore(to, flags);
      expect(existsSync(join(db.dataDir, ...below.slice(0, 2)))).toBe(false);
      expect(code).toBe(4);
      expect(stderr).toContain(db.dataDir);
    }
  });

  it('PG12: inside a data directory by way of a link', async () => {
    const link = join(tempDir(), 'link');
    symlinkSync(db.dataDir, link);
    const { code } = await restore(join(link, 'inner'));
    expect(existsSync(join(db.dataDir, 'inner'))).toBe(false);
    expect(code).toBe(4);
  });

  it('DR09: a directory with a running server somewhere below it, though forced', async () => {
    const parent = dirname(db.dataDir);
    const { code, stderr } = await restore(parent, ['--force']);
    expect(putBack(parent)).toEqual([]);
    expect(await db.sql('select 1')).toBe('1');
    expect(code).toBe(4);
    expect(stderr).toContain('running server');
  });

  it('a store, what is above it, and what is in it, though forced', async () => {
    const root = at.stores['offsite']!;
    const before = filesIn(root);
    for (const to of [root, join(root, 'bkp'), join(root, 'restored')]) {
      const { code, stderr } = await restore(to, ['--force']);
      expect({ to, moved: putBack(to) }).toEqual({ to, moved: [] });
      expect(filesIn(root)).toEqual(before);
      expect({ to, code }).toEqual({ to, code: 4 });
      expect(stderr).toContain('store offsite');
    }
  });

  it('the spool, in which is WAL that no store may hold yet, though forced', async () => {
    const { code } = await restore(at.spool, ['--force']);
    expect(putBack(at.spool)).toEqual([]);
    expect(code).toBe(4);
  });

  it('a place that its owner could not enter is refused before anything changes', async () => {
    if (process.getuid?.() !== 0) return expect(process.getuid?.()).not.toBe(0);
    const closed = tempDir();
    chmodSync(closed, 0o700);
    const { code, stderr } = await restore(join(closed, 'restored'));
    expect(readdirSync(closed)).toEqual([]);
    expect(code).toBe(4);
    expect(stderr).toContain(closed);
  });

  it('a file, and what lies below a file', async () => {
    const file = join(tempDir(), 'file');
    writeFileSync(file, 'precious');
    for (const to of [file, join(file, 'below')]) {
      const { code, stderr } = await restore(to);
      expect({ to, code }).toEqual({ to, code: 4 });
      expect(stderr).toContain(file);
    }
  });

  it('a link to an empty directory is that directory', async () => {
    const target = tempDir({ forServer: true });
    const link = `${aPlace()}-link`;
    symlinkSync(target, link);
    const { code } = await restore(link);
    expect([0, 4]).toContain(code);
    if (code === 0) expect(readdirSync(target)).toContain('PG_VERSION');
    else expect(readdirSync(target)).toEqual([]);
  });
});
