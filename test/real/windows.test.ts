import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openDirectory } from '../../src/providers/stores/directory.ts';
import { agedCopy, signerOf } from './aged.ts';
import { changed, entryOf, lastJson, type Yaml } from './change.ts';
import { cleanUp, type Postgres, type PostgresVersion, pause, runBkp, startPostgres } from './rig/index.ts';
import { aBackup, type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

const BASE = 'bkp/production/postgres/app';

describe.each<PostgresVersion>(['15', '18'])('windows of PostgreSQL %s', version => {
  let db: Postgres;
  let at: Setup;
  let first: string;
  let second: string;
  let names: string[];
  let last: string;

  const list = (...args: string[]) => runBkp(['list', 'postgres', 'app', '--window', ...args], at.run);
  const windows = async (...args: string[]): Promise<Yaml> => {
    const { code, stdout, stderr } = await list('--json', ...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return lastJson(stdout);
  };
  const pathOf = (store: string, part: string): string => {
    const root = at.stores[store]!;
    return join(root, readdirSync(root, { recursive: true, encoding: 'utf8' }).find(path => path.includes(part))!);
  };
  const walFile = (store: string, name: string): string => pathOf(store, `/${name}-`);
  /** Runs with files out of the way, and puts them back. */
  const without = async <T>(paths: readonly string[], work: () => Promise<T>): Promise<T> => {
    for (const [n, path] of paths.entries()) renameSync(path, join(at.dir, `away-${n}`));
    try {
      return await work();
    } finally {
      for (const [n, path] of paths.entries()) renameSync(join(at.dir, `away-${n}`), path);
    }
  };
  const manifestOf = (id: string): Yaml => JSON.parse(readFileSync(pathOf('local', `${id}/manifest.json`), 'utf8').split('\n')[0]!);
  const push = async (name: string): Promise<void> => {
    const run = await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...at.run, cwd: db.dataDir });
    expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
  };
  const commit = async (n: number): Promise<string> => {
    const name = await db.sql(`insert into t values (${n}); select pg_walfile_name(pg_current_wal_lsn())`);
    last = await db.sql(`select to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from pg_last_committed_xact()`);
    await db.sql('select pg_switch_wal()');
    await push(name);
    return name;
  };

  beforeAll(async () => {
    db = await startPostgres({ version, settings: { wal_keep_size: '1GB', track_commit_timestamp: 'on' } });
    at = await setUp(db);
    await db.sql('create table t (n int)');
    first = await aBackup(at);
    names = [];
    for (const n of [1, 2, 3, 4]) names.push(await commit(n));
    second = await aBackup(at);
    // A server writes a snapshot now and then, which makes a segment of its own where the backup begins with a switch.
    const begun = await db.sql(`select pg_walfile_name('${manifestOf(second)['wal'].from}')`);
    const there = readdirSync(join(db.dataDir, 'pg_wal')).filter(name => /^[0-9A-F]{24}$/.test(name));
    for (const name of there.filter(each => each > names.at(-1)! && each <= begun).sort()) await push(name);
    names.push(await commit(5));
  });

  it('one line per store, from the end of the first backup to the last commit, which is what a restore reaches', async () => {
    const result = await windows();
    const line = { from: expect.any(String), to: last, toIs: 'commit', backups: [first, second], gaps: [], live: true };
    expect(result).toMatchObject({
      windows: [
        { store: 'local', ...line },
        { store: 'offsite', ...line },
      ],
      notes: [],
    });
    const manifest = manifestOf(first);
    expect(result['windows'][0].from).toBe(manifest['recoveryPointAt']);
    expect(result['windows'][0].fromLsn).toBe(manifest['wal'].to);
    await pause(1500);
    const reach = (time: string) =>
      runBkp(['restore', 'postgres', 'app', '--target-time', time, '--to', join(at.dir, 'copy'), '--dry-run'], at.run);
    expect((await reach(result['windows'][0].to)).code).toBe(0);
    expect((await reach(new Date(Date.parse(last) + 1000).toISOString())).code).toBe(4);
  });

  it('PG14: a gap cuts the window of that store alone, and names the segment, the backup that it breaks and where it goes on', async () => {
    const [cut, text] = await without([walFile('offsite', names[1]!)], async () => [await windows(), (await list()).stdout] as const);
    expect(cut['windows']).toMatchObject([
      { store: 'local', live: true, gaps: [] },
      {
        store: 'offsite',
        backups: [first],
        live: false,
        gaps: [{ first: names[1], last: names[1], segments: 1, breaks: [first], next: { backup: second }, expected: false }],
      },
      { store: 'offsite', backups: [second], to: last, live: true, gaps: [] },
    ]);
    expect(cut['windows'][1].toLsn).toBe(cut['windows'][1].gaps[0].from);
    expect(text).toMatch(/postgres\/app +offsite .* GAP$/m);
    expect(text).toMatch(new RegExp(`WAL ${names[1]} is missing: backup ${first} can be rolled forward to LSN \\S+ only`));
    expect(text).toContain(`it goes on with the end of backup ${second}`);
  });

  it('PG15: a gap before the oldest backup is a note', async () => {
    const gone = [walFile('local', names[1]!), join(pathOf('local', `${first}/manifest.json`), '..')];
    const old = await without(gone, () => windows('--from', 'local'));
    expect(old['windows']).toMatchObject([{ store: 'local', backups: [second], live: true, gaps: [] }]);
    expect(old['notes']).toMatchObject([{ state: 'note', text: expect.stringContaining(`WAL ${names[1]} is missing before the oldest`) }]);
  });

  it('without the identity the end is when the store got the last segment, and that is said', async () => {
    const config = join(at.dir, 'no-identity.yaml');
    writeFileSync(config, readFileSync(at.run.config, 'utf8').replace(/^ *identity:.*$/m, ''));
    const args = ['list', 'postgres', '--window', '--from', 'local'];
    const { code, stdout } = await runBkp([...args, '--json'], { ...at.run, config });
    expect(code).toBe(0);
    const stored = statSync(walFile('local', names.at(-1)!)).mtime;
    const { windows: lines, notes } = lastJson(stdout);
    expect(lines).toMatchObject([{ toIs: 'stored', backups: [first, second], live: true }]);
    expect(Math.abs(Date.parse(lines[0].to) - stored.getTime())).toBeLessThan(1000);
    expect(notes).toMatchObject([{ state: 'unproven', text: expect.stringContaining('keys.identity') }]);
    expect((await runBkp(args, { ...at.run, config })).stdout).toMatch(/Z \(stored\)/);
  });

  it('backups before the window of the retention are points, and what prune took behind them is no fault', async () => {
    const store = openDirectory('local', { type: 'directory', path: at.stores['local']! });
    const sign = signerOf(at.keysDir);
    const wal = { timeline: 1, from: '0/100028', to: '0/100100', segmentBytes: 16 * 1024 * 1024 };
    const older = await agedCopy(store, BASE, first, 60, sign, { change: { wal } });
    const old = await agedCopy(store, BASE, first, 50, sign, { change: { wal: { ...wal, from: '0/200028', to: '0/200100' } } });
    const strange = await agedCopy(store, BASE, first, 40, sign, { change: { identity: { systemIdentifier: '7' } } });
    const result = await windows('--from', 'local');
    const text = (await list('--from', 'local')).stdout;
    for (const id of [older, old, strange]) rmSync(join(at.stores['local']!, BASE, 'backups', id), { recursive: true });
    expect(result['windows']).toMatchObject([
      { backups: [older], segments: 0, toIs: 'backup', live: false, gaps: [{ expected: true }] },
      { backups: [old], segments: 0, toIs: 'backup', live: false, gaps: [{ expected: false, breaks: [old] }] },
      { backups: [first, second], live: true },
    ]);
    expect(text).toContain('its own end only');
    expect(text).not.toContain(`backup ${older} can be rolled forward`);
    expect(result['notes']).toMatchObject([
      { state: 'unproven', text: expect.stringContaining(`${strange} says that it is of cluster 7`) },
    ]);
  });

  it('a store that gets no WAL has points alone, and that is no fault', async () => {
    const run = changed(at, config => {
      entryOf(config)['wal'] = { stores: ['local'] };
    });
    const { stdout } = await runBkp(['list', 'postgres', '--window', '--from', 'offsite', '--json'], run);
    const { windows: lines, notes } = lastJson(stdout);
    expect(lines).toMatchObject([
      { backups: [first], segments: 0, toIs: 'backup', live: false, gaps: [{ expected: true }] },
      { backups: [second], segments: 0, toIs: 'backup', live: true, gaps: [] },
    ]);
    expect(notes).toMatchObject([{ state: 'note', text: expect.stringContaining('this store gets no WAL') }]);
  });

  it('WAL of a lineage without a backup restores nothing, and that is said; a store that is not there is exit 3', async () => {
    const both = [first, second].map(id => join(pathOf('offsite', `${id}/manifest.json`), '..'));
    const bare = await without(both, () => windows('--from', 'offsite'));
    expect(bare['windows']).toEqual([]);
    expect(bare['notes']).toMatchObject([{ state: 'note', text: expect.stringContaining('no backup, so nothing of it can be restored') }]);
    renameSync(at.stores['offsite']!, `${at.stores['offsite']}.gone`);
    const { code, stdout, stderr } = await list();
    renameSync(`${at.stores['offsite']}.gone`, at.stores['offsite']!);
    expect(code).toBe(3);
    expect(stdout).toMatch(/postgres\/app +local .* live$/m);
    expect(stderr).toContain('store offsite');
    expect((await list('--from', 'nowhere')).code).toBe(2);
  });
});
