import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { agePair } from '../ops/rig.ts';
import { changed, type Yaml } from './change.ts';
import { resticWith } from './filesWorld.ts';
import { cleanUp, startBkp, startPostgres, stopBkp, tempDir, waitFor } from './rig/index.ts';
import { movedAway } from './rig/undo.ts';
import type { Setup } from './setup.ts';
import { journalOf, objectsIn, resultOf, type Stack, startStack } from './stackSetup.ts';

afterAll(cleanUp);

let at: Stack;
let set: string;
const source = tempDir();
/** While it is there, restic restores out of the first store as it does when a pack is gone: it fails in the end (0.14 tries for 95 s). */
const packsGone = join(tempDir(), 'gone');

/** A test that failed leaves nothing in the way of the next one. */
afterEach(() => {
  rmSync(at.journal, { force: true });
  rmSync(packsGone, { force: true });
  for (const store of Object.values(at.stores)) rmSync(join(store, 'bkp/production/restoring'), { force: true });
});

const aRoot = (): string => join(tempDir({ forServer: true }), 'dr');
const restoring = (...args: string[]): string[] => ['restore', 'full-dr', '--yes', '--json', ...args];
const partsOf = (ended: { stdout: string }): Record<string, string> =>
  Object.fromEntries(resultOf(ended)['parts'].map((part: any) => [part.kind, part.before ? 'before' : part.state]));
const ALL = { etcd: 'back', volumes: 'back', postgres: 'back', redis: 'back' };

/** Runs with the config of the stack, changed. */
const other = (edit: (production: Yaml, config: Yaml) => void) =>
  changed(at as unknown as Setup, config => edit(config['environments'].production, config));

beforeAll(async () => {
  at = await startStack();
  for (let n = 0; n < 20; n += 1) writeFileSync(join(source, `f${n}`), `file ${n} `.repeat(2000));
  const fails = `[ -e ${packsGone} ] && case "$*" in *restore*) case "$*$RESTIC_REPOSITORY" in *${at.stores['local']}*) echo 'Fatal: pack not found' >&2; exit 1;; esac;; esac`;
  const program = resticWith(`${fails}\nexec restic "$@"`);
  at.run = other(production => {
    production['volumes'] = { data: { engine: 'files', paths: [source], program } };
  }) as Stack['run'];
  at.bkp = (args, options = {}) => startBkp(args, { ...at.run, ...options }).ended;
  const ended = await at.bkp(['backup', 'full-dr', '--json']);
  expect({ code: ended.code, stderr: ended.code === 0 ? '' : ended.stderr }).toEqual({ code: 0, stderr: '' });
  set = resultOf(ended)['set'];
});

describe('objects that vanished in one store', () => {
  it.each([
    ['the first', 'local'],
    ['the second', 'offsite'],
  ])('%s, of every part: each comes out of the other one', async (_, store) => {
    const gone = objectsIn(at.stores[store]!).filter(key => /\/backups\/.*\.age\.\d+$/.test(key));
    expect(['etcd', 'postgres', 'redis'].filter(kind => gone.some(key => key.includes(`/${kind}/`)))).toHaveLength(3);
    for (const key of gone) movedAway(join(at.stores[store]!, key));
    if (store === 'local') writeFileSync(packsGone, '');
    const root = aRoot();
    const ended = await at.bkp(restoring('--from-backup', set, '--to', root));
    expect({ code: ended.code, text: ended.code === 0 ? '' : ended.stdout }).toEqual({ code: 0, text: '' });
    expect(partsOf(ended)).toEqual(ALL);
    if (store === 'local') expect(ended.stdout).toMatch(/it comes out of store offsite/);
    expect(readFileSync(join(root, 'volumes/data/f7'), 'utf8')).toBe(readFileSync(join(source, 'f7'), 'utf8'));
  });

  it('a single restore of files does so too, and says out of which store they came', async () => {
    writeFileSync(packsGone, '');
    const to = join(tempDir(), 'files');
    const ended = await at.bkp(['restore', 'volumes', 'data', '--latest', '--to', to, '--yes', '--json']);
    expect({ code: ended.code, facts: ended.code === 0 && resultOf(ended)['facts'] }).toMatchObject({
      code: 0,
      facts: { store: 'offsite' },
    });
    expect(execFileSync('diff', ['-r', source, to], { encoding: 'utf8' })).toBe('');
  });

  it('of the newest set, each part in one of them only: --latest takes it as its id does, unless --from names one store', async () => {
    const newest = resultOf(await at.bkp(['backup', 'full-dr', '--json']));
    const idOf = (kind: string): string => newest['backups'].find((each: any) => each.kind === kind).id;
    const away = (store: string, kind: string): void => {
      for (const key of objectsIn(at.stores[store]!).filter(each => each.includes(`/${kind}/`) && each.includes(`/${idOf(kind)}/`)))
        movedAway(join(at.stores[store]!, key));
    };
    away('local', 'redis');
    away('offsite', 'etcd');
    const { sets } = resultOf(await at.bkp(['list', 'full-dr', '--json']));
    expect(sets.find(({ id }: any) => id === newest['set'])).toMatchObject({ complete: true, lacks: [] });
    const root = aRoot();
    const ended = await at.bkp(restoring('--latest', '--to', root));
    expect({ code: ended.code, text: ended.code === 0 ? '' : ended.stdout }).toEqual({ code: 0, text: '' });
    for (const kind of ['etcd', 'postgres', 'redis']) expect(ended.stdout).toMatch(new RegExp(`backup ${idOf(kind)}`));
    const { stdout } = await at.bkp(['restore', 'full-dr', '--latest', '--to', aRoot(), '--dry-run', '--json', '--from', 'local']);
    for (const kind of ['etcd', 'postgres']) expect(stdout).toContain(idOf(kind));
    expect(stdout).not.toContain(idOf('redis'));
  });

  it('in both: it is told before anything is done', async () => {
    for (const store of Object.values(at.stores))
      for (const key of objectsIn(store).filter(each => /\/redis\/.*\.age\.\d+$/.test(each))) movedAway(join(store, key));
    const root = aRoot();
    const { code, stdout } = await at.bkp(restoring('--from-backup', set, '--to', root));
    expect({ code, there: existsSync(root) }).toEqual({ code: 4, there: false });
    expect(stdout).toMatch(/redis\/cache: backup \S+ is whole in no store: local lacks .*; offsite lacks /);
  });
});

describe('restore full-dr', () => {
  it('killed again and again while it goes on: what is back stays, and the next run ends it', async () => {
    const root = aRoot();
    const args = restoring('--from-backup', set, '--to', root);
    const stateOf = (kind: string) => journalOf(at)?.['steps'].find((step: any) => step.kind === kind)?.state;
    for (const kind of ['etcd', 'postgres', 'redis']) {
      const child = startBkp(args, at.run);
      await waitFor(() => child.process.exitCode !== null || /begun|back/.test(stateOf(kind)), `${kind} to begin`, 2);
      child.kill('SIGKILL');
      await child.ended;
    }
    const before = (journalOf(at)?.['steps'] ?? []).filter(({ state }: any) => state === 'back').map(({ kind }: any) => kind);
    expect(before).toEqual(expect.arrayContaining(['etcd', 'volumes', 'postgres']));
    const ended = await at.bkp(args);
    expect({ code: ended.code, text: ended.code === 0 ? '' : ended.stdout }).toEqual({ code: 0, text: '' });
    for (const [kind, state] of Object.entries(partsOf(ended)))
      expect({ kind, state }).toEqual({ kind, state: before.includes(kind) ? 'before' : 'back' });
    expect(objectsIn(root).filter(path => /BKP_RESTORE_INCOMPLETE/.test(path))).toEqual([]);
  });

  it('--target-time takes of each part the newest state from then or before, and says how far apart they are', async () => {
    const stream = startBkp(['stream', 'postgres', '--json'], at.run);
    await waitFor(async () => (await at.db.sql('select count(*) from pg_replication_slots')) === '1', 'the slot');
    await at.db.sql("insert into orders (note) values ('before')");
    const time = await at.db.sql(
      'select pg_sleep(0.05); select to_char(clock_timestamp() at time zone \'utc\', \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')',
    );
    await at.db.sql("select pg_sleep(0.05); insert into orders (note) values ('after')");
    const last = await at.db.sql('select pg_walfile_name(pg_switch_wal() - 1)');
    await waitFor(() => objectsIn(at.stores['offsite']!).some(key => key.includes(`/${last}-`)), `WAL ${last}`);
    await stopBkp(stream, 'SIGTERM');
    expect((await at.bkp(['backup', 'redis'])).code).toBe(0);
    const root = aRoot();
    const ended = await at.bkp(restoring('--target-time', time.trim().split('\n').at(-1)!, '--to', root));
    expect({ code: ended.code, text: ended.code === 0 ? '' : ended.stdout }).toEqual({ code: 0, text: '' });
    expect(ended.stdout).toMatch(/what comes back is .* apart: \S+ of \S+, postgres\/app of /);
    const sets = resultOf(await at.bkp(['list', 'full-dr', '--json']))['sets'];
    const redis = sets.at(-1).members.find(({ kind }: any) => kind === 'redis').backup;
    expect(ended.stdout).toContain(`redis/cache: backup ${redis}`);
    const db = await startPostgres({ version: '15', dir: join(root, 'postgres/app') });
    expect(await db.sql("select string_agg(note, ',') from orders where note in ('before', 'after')")).toBe('before');
    await db.destroy();
  });

  it('another identity than that of the backups is told for each part, before anything is done', async () => {
    const wrong = other((_, config) => {
      const file = join(tempDir(), 'identity.txt');
      writeFileSync(file, `${agePair().identity}\n`, { mode: 0o600 });
      config['keys'].identity = `\${file:${file}}`;
    });
    const root = aRoot();
    const { code, stdout } = await at.bkp(restoring('--latest', '--to', root), wrong);
    expect({ code, there: existsSync(root), journal: journalOf(at) }).toEqual({ code: 4, there: false, journal: undefined });
    for (const part of ['etcd/main', 'postgres/app', 'redis/cache']) expect(stdout).toMatch(new RegExp(`${part}: .*identity`));
  });

  it('too little room, and places that lie in one another, are told together', async () => {
    const [small, roomy] = [tempDir({ forServer: true }), tempDir({ forServer: true })];
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=755', 'none', small]);
    try {
      const inOne = other(production => {
        production['etcd'].main.fullDr = { to: join(roomy, 'one') };
        production['redis'].cache.fullDr = { to: join(roomy, 'one/two') };
        production['postgres'].app.fullDr = { to: join(small, 'pg') };
        production['volumes'].data.fullDr = { skip: true };
      });
      const { code, stdout } = await at.bkp(restoring('--latest'), inOne);
      expect(code).toBe(4);
      expect(stdout).toMatch(/postgres\/app: \S+ has \d+ bytes free, and the restore needs about \d+/);
      expect(stdout).toMatch(/etcd\/main and redis\/cache lie in one another/);
      expect(existsSync(join(small, 'pg'))).toBe(false);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});
