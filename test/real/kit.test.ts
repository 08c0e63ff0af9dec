import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { agePair } from '../ops/rig.ts';
import { changed, lastJson, type Yaml } from './change.ts';
import {
  aKit,
  BY_VARIABLE,
  byKey,
  checkHere,
  cleanMachine,
  commandsOf,
  forKey,
  PASSPHRASE,
  seenOf,
  startThere,
  textsIn,
  there,
  without,
} from './kitSetup.ts';
import {
  accessDenied,
  bkpCommand,
  cleanUp,
  type FaultyS3,
  makeConfig,
  type Postgres,
  type Redis,
  runBkp,
  run as runProgram,
  type S3Server,
  startBkp,
  startFaulty,
  startPostgres,
  startRedis,
  startVersity,
  tempDir,
  type WrittenConfig,
  waitFor,
} from './rig/index.ts';
import type { Setup } from './setup.ts';
import { endOf, onTerminal } from './stub.ts';

afterAll(cleanUp);

describe('a kit of PostgreSQL and Redis in two stores', () => {
  let db: Postgres;
  let cache: Redis;
  let s3: S3Server;
  /** The same bucket by keys that can only read. */
  let reading: FaultyS3;
  let near: string;
  let written: WrittenConfig;
  let at: Pick<Setup, 'run'>;
  let places: { pg: string; redis: string };
  let secrets: string[];

  const here = (...args: string[]) => runBkp(args, { ...at.run, env: { ...at.run.env, KIT_PASSPHRASE: PASSPHRASE } });

  /** The config of the platform, changed. */
  const other = (edit: (config: Yaml) => void, env: Record<string, string> = {}) => changed(at as Setup, edit, env);
  const production = (config: Yaml): Yaml => config['environments'].production;

  async function opened(kit: string): Promise<string> {
    const to = join(tempDir(), 'kit');
    const { code, stderr } = await there(['kit', 'open', kit, '--to', to, ...byKey()]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
    return to;
  }

  beforeAll(async () => {
    [db, cache, s3] = await Promise.all([startPostgres({ version: '18' }), startRedis(), startVersity()]);
    reading = await startFaulty(s3);
    reading.faults.push({ when: ({ method }) => method !== 'GET' && method !== 'HEAD', act: accessDenied });
    await db.sql("create table customers as select n, 'Zacharias' || n as name from generate_series(1, 1000) n");
    await cache.cli('SET', 'session', 'of Zacharias');
    [near, places] = [tempDir(), { pg: join(tempDir({ forServer: true }), 'pg'), redis: join(tempDir(), 'redis') }];
    const bucket = await s3.bucket();
    const keyFile = join(tempDir(), 's3.key');
    writeFileSync(keyFile, `${s3.secretKey}\n`);
    const far = { type: 's3', endpoint: s3.endpoint, bucket, accessKey: '${S3_KEY}', secretKey: `\${file:${keyFile}}` };
    written = await makeConfig({
      stores: { near, far },
      postgres: { app: db.entry({ fullDr: { to: places.pg } }) },
      redis: { cache: cache.entry({ fullDr: { to: places.redis } }) },
      environment: { kit: { stores: { far: { endpoint: reading.endpoint, secretKey: '${READING_SECRET}' } } } },
    });
    at = { run: { config: written.path, env: { ...db.bkpEnv, S3_KEY: s3.accessKey, READING_SECRET: s3.secretKey } } };
    secrets = ['identity.txt', 'signing.key'].map(name => readFileSync(join(written.keysDir, name), 'utf8').trim());
    secrets.push(s3.secretKey, db.role.password, PASSPHRASE);
    const backup = await here('backup');
    expect({ code: backup.code, stderr: backup.stderr }).toMatchObject({ code: 0 });
  });

  it('brings all of it back on another machine, by the commands of its runbook, with the first store gone', async () => {
    const kit = await aKit(at.run, BY_VARIABLE);
    const [machine, dir] = [cleanMachine(), join(tempDir(), 'kit')];
    await without([written.dir, near], async () => {
      const unpacked = await seenOf(startThere(['kit', 'open', kit, '--to', dir, ...BY_VARIABLE], machine));
      expect({ code: unpacked.code, stderr: unpacked.stderr }).toMatchObject({ code: 0 });
      const listed = await there(['--config', 'bkp.yaml', 'list', '--json'], machine, dir);
      expect(listed.code).toBe(3);
      expect(lastJson(listed.stdout)['backups'].map(({ kind, copies }: Yaml) => [kind, copies.far])).toEqual([
        ['postgres', 'whole'],
        ['redis', 'whole'],
      ]);
      const whole = ['restore', 'full-dr', '--latest', '--from', 'far', '--to', join(tempDir({ forServer: true }), 'whole'), '--yes'];
      const all = await there(['--config', 'bkp.yaml', ...whole, '--json'], machine, dir);
      expect({ code: all.code, stdout: all.stdout, stderr: all.stderr }).toMatchObject({ code: 0 });
      const commands = commandsOf(dir).filter(line => / restore (?!full-dr)/.test(line));
      expect(commands).toHaveLength(2);
      for (const line of commands) {
        const end = await seenOf(startThere([...line.split(' ').slice(1), '--yes'], machine, dir));
        expect({ line, code: end.code, stderr: end.stderr }).toMatchObject({ line, code: 0 });
        for (const secret of secrets) expect(end.seen.includes(secret)).toBe(false);
      }
    });
    const restored = await startPostgres({ version: '18', dir: places.pg });
    expect(await restored.sql('select count(*), max(name) from customers')).toBe('1000|Zacharias999');
    const again = await startRedis({ dir: places.redis });
    expect(await again.cli('GET', 'session')).toBe('of Zacharias');
  });

  it('is for its owner alone, has no signing key, and nothing of it is in the clear', async () => {
    const kit = await aKit(at.run);
    const dir = await opened(kit);
    for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
      const { mode } = statSync(join(entry.parentPath, entry.name));
      expect([entry.name, mode & 0o777]).toEqual([entry.name, entry.isDirectory() ? 0o700 : 0o600]);
    }
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    for (const file of [kit, `${kit}.txt`]) expect(statSync(file).mode & 0o777).toBe(0o600);
    const [identity, signing] = secrets;
    expect(textsIn(dir)).toContain(identity);
    expect(textsIn(dir)).not.toContain(signing);
    const sealed = readFileSync(kit, 'utf8') + readFileSync(`${kit}.txt`, 'utf8');
    for (const secret of [...secrets, 'customers', 'fullDr']) expect(sealed.includes(secret)).toBe(false);
  });

  it('CF04: shows no secret while it is made, opened and checked, and leaves nothing among the temporary files', async () => {
    const temp = tempDir();
    const env = { ...at.run.env, KIT_PASSPHRASE: PASSPHRASE, TMPDIR: temp };
    const out = join(tempDir(), 'kit.age');
    const runs: string[] = [];
    for (const args of [
      ['kit', 'export', '--out', out, ...BY_VARIABLE, '--verbose'],
      ['kit', 'open', out, '--to', join(tempDir(), 'kit'), ...BY_VARIABLE, '--json'],
      ['kit', 'check', out, ...BY_VARIABLE, '--verbose', '--deep'],
      ['kit', 'open', out, '--to', '/proc/nowhere', ...BY_VARIABLE, '--json'],
    ]) {
      const { code, seen } = await seenOf(startBkp(args, { config: at.run.config, env }));
      runs.push(seen);
      expect({ args, code, seen }).toMatchObject({ args, code: args.includes('/proc/nowhere') ? 4 : 0 });
    }
    expect(runs.join('\n')).toMatch(/age -d -i/);
    for (const secret of secrets)
      for (const spelled of [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
        expect(runs.flatMap(seen => seen.split('\n')).filter(line => line.includes(spelled))).toEqual([]);
    expect(readdirSync(temp).filter(name => name.startsWith('bkp'))).toEqual([]);
  });

  it('opens by hand, with age and tar, and works the same', async () => {
    const kit = await aKit(at.run);
    const [[, key], dir] = [byKey(), tempDir()];
    execFileSync('sh', ['-c', 'umask 077; age -d -i "$0" "$1" | tar -xz -C "$2"', key!, kit, dir]);
    const listed = await there(['--config', join(dir, 'bkp.yaml'), 'list', '--json']);
    expect({ code: listed.code, count: lastJson(listed.stdout)['backups'].length }).toEqual({ code: 0, count: 2 });
    expect(readdirSync(await opened(kit)).sort()).toEqual(readdirSync(dir).sort());
  });

  it('opens out of its sheet, and what was typed wrong is told by its line', async () => {
    const kit = await aKit(at.run);
    const sheet = readFileSync(`${kit}.txt`, 'utf8');
    const scan = join(tempDir(), 'scan.txt');
    writeFileSync(
      scan,
      sheet
        .split('\n')
        .map(line => `  ${line} \r`)
        .join('\n'),
    );
    expect(readdirSync(await opened(scan))).toContain('bkp.yaml');
    const undone = /\(echo[\s\S]*> kit.age/.exec(sheet)![0].replace('SCANNED.txt', `'${kit}.txt'`).replace('> kit.age', '');
    expect(execFileSync('bash', ['-c', undone], { encoding: 'utf8' })).toBe(readFileSync(kit, 'utf8'));
    writeFileSync(scan, sheet.replace(/^(007 .{9}.)/m, '$1x').replace(/^009 .*\n/m, ''));
    const { code, stderr } = await there(['kit', 'open', scan, '--to', join(tempDir(), 'kit'), ...byKey()]);
    expect({ code, stderr }).toEqual({ code: 9, stderr: expect.stringContaining('as they were printed: 7, 9') });
  });

  it('asks for a passphrase on a terminal, twice, and shows it nowhere; age itself opens it then', async () => {
    const out = join(tempDir(), 'kit.age');
    const type = async (typed: readonly string[]) => {
      const child = onTerminal(bkpCommand(['--config', at.run.config, 'kit', 'export', '--out', out, '--passphrase']), {
        ...at.run.env,
        HOME: tempDir(),
      });
      for (const [n, text] of typed.entries()) {
        await waitFor(() => child.output().stdout.includes(['not shown', 'once more'][n]!), 'the question');
        child.process.stdin?.write(`${text}\r`);
      }
      return endOf(child);
    };
    expect((await type([PASSPHRASE, 'five other words'])).code).toBe(5);
    expect((await type(['too short', 'too short'])).code).toBe(2);
    expect((await type([PASSPHRASE, '\x03'])).code).toBe(5);
    const end = await type([PASSPHRASE, PASSPHRASE]);
    expect({ code: end.code, stdout: end.stdout }).toMatchObject({ code: 0 });
    expect(end.stdout).not.toContain(PASSPHRASE);
    const age = onTerminal(['sh', ['-c', `age -d ${out} | tar -tz`]], {});
    await waitFor(() => age.output().stdout.includes('passphrase'), 'the question of age');
    age.process.stdin?.write(`${PASSPHRASE}\r`);
    expect((await endOf(age)).stdout).toContain('RUNBOOK.md');
  });

  it('is refused where it could not be opened, or would be no lock', async () => {
    const out = join(tempDir(), 'kit.age');
    const make = (...args: string[]) => here('kit', 'export', '--out', out, ...args);
    const inside = (written.keys as Yaml)['recipients'][0];
    const mine = agePair().recipient;
    expect(await make('--recipient', mine, '--recipient', inside)).toMatchObject({ code: 4, stderr: expect.stringContaining(inside) });
    expect(await make('--recipient', 'age1nonsense')).toMatchObject({ code: 2, stderr: expect.stringContaining('age1nonsense') });
    expect(await make('--recipient', mine, ...BY_VARIABLE)).toMatchObject({ code: 2 });
    expect(await make()).toMatchObject({ code: 2, stderr: expect.stringContaining('--recipient') });
    expect(await make('--passphrase')).toMatchObject({ code: 4, stderr: expect.stringContaining('--passphrase-from') });
    const literal = await make('--passphrase-from', 'all of it in clear words');
    expect(literal).toMatchObject({ code: 2, stderr: expect.not.stringContaining('all of it') });
    expect(readdirSync(join(out, '..'))).toEqual([]);
    writeFileSync(out, 'something');
    expect(await make(...BY_VARIABLE)).toMatchObject({ code: 4, stderr: expect.stringContaining('there already') });
    expect(readFileSync(out, 'utf8')).toBe('something');
    expect(readdirSync(join(out, '..'))).toEqual(['kit.age']);
  });

  it('is not made without what a restore needs; a password of the source may be missing, and that is told', async () => {
    const out = join(tempDir(), 'kit.age');
    const make = (run: { config: string; env: Record<string, string> }) => runBkp(['kit', 'export', '--out', out, ...forKey], run);
    const { READING_SECRET: _, ...less } = at.run.env;
    expect(await make({ ...at.run, env: less })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('stores.far.secretKey needs the variable READING_SECRET'),
    });
    const gone = other(config => {
      config['keys'].identity = '${file:/nowhere/identity.txt}';
    });
    expect(await make(gone)).toMatchObject({ code: 2, stderr: expect.stringContaining('keys.identity') });
    const foreign = join(tempDir(), 'identity.txt');
    writeFileSync(foreign, agePair().identity);
    const wrong = other(config => {
      config['keys'].identity = `\${file:${foreign}}`;
    });
    expect(await make(wrong)).toMatchObject({ code: 2, stderr: expect.stringContaining('another key') });
    expect(readdirSync(join(out, '..'))).toEqual([]);
    const { APP_PGPASSWORD: __, ...poor } = at.run.env;
    const made = await make({ ...at.run, env: poor });
    expect(made).toMatchObject({ code: 3, stderr: expect.stringContaining('postgres.app.password') });
    expect((await there(['--config', join(await opened(out), 'bkp.yaml'), 'list'])).code).toBe(0);
  });

  it('another passphrase is told from damage, and nothing is unpacked', async () => {
    const [kit, locked, to] = [await aKit(at.run), await aKit(at.run, BY_VARIABLE), join(tempDir(), 'kit')];
    const open = (file: string) => there(['kit', 'open', file, '--to', to, ...byKey()]);
    const wrong = cleanMachine({ KIT_PASSPHRASE: 'five words of another one' });
    expect(await there(['kit', 'open', locked, '--to', to, ...BY_VARIABLE], wrong)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('another passphrase'),
    });
    const text = readFileSync(kit, 'utf8');
    const bad = join(tempDir(), 'kit.age');
    const damages: [string, string][] = [
      ['a letter', text.replace(/^(.*\n){20}/, lines => `${lines.slice(0, -5)}${lines.at(-5) === 'A' ? 'B' : 'A'}${lines.slice(-4)}`)],
      ['cut', text.slice(0, 2000)],
      ['lines gone', text.replace(/\n.*\n.*\n-----END/, '\n-----END')],
      ['nothing', ''],
    ];
    for (const [what, damaged] of damages) {
      writeFileSync(bad, damaged);
      expect({ what, end: await open(bad) }).toEqual({ what, end: expect.objectContaining({ code: 9 }) });
    }
    expect(await open(join(tempDir(), 'none.age'))).toMatchObject({ code: 6 });
    expect(readdirSync(join(to, '..'))).toEqual([]);
    mkdirSync(to);
    writeFileSync(join(to, 'mine'), '');
    expect(await open(kit)).toMatchObject({ code: 4, stderr: expect.stringContaining('not empty') });
    expect(readdirSync(to)).toEqual(['mine']);
  });

  describe('checked', () => {
    let kit: string;
    const rowsOf = (stdout: string) => lastJson(stdout)['stores'].map(({ target, store, state }: Yaml) => `${target} ${store} ${state}`);

    beforeAll(async () => {
      kit = await aKit(at.run);
    });

    it('is good, every target in every store, restored with the kit alone', async () => {
      const { code, stdout, stderr } = await checkHere(at.run, kit, '--deep', '--json');
      expect(lastJson(stdout)['notes'].join()).not.toContain('directories alone');
      expect({ code, stderr }).toMatchObject({ code: 0 });
      expect(rowsOf(stdout)).toEqual(['postgres/app near ok', 'postgres/app far ok', 'redis/cache near ok', 'redis/cache far ok']);
      for (const { text } of lastJson(stdout)['stores']) expect(text).toMatch(/restored and tried/);
      expect(lastJson(stdout)).toMatchObject({ stale: [], alarms: [], bad: [], unknown: [] });
    });

    it('uses nothing of the host: right on a machine that has nothing, wrong with keys that do not work though the host has good ones', async () => {
      const bare = await without([written.dir, near], () => there(['kit', 'check', kit, ...byKey(), '--json']));
      expect({ code: bare.code, stderr: bare.stderr }).toMatchObject({ code: 3 });
      expect(rowsOf(bare.stdout)).toEqual([
        'postgres/app near silent',
        'postgres/app far ok',
        'redis/cache near silent',
        'redis/cache far ok',
      ]);
      expect(lastJson(bare.stdout)['notes'].join()).toMatch(/no config on this host/);
      const far = await without([written.dir, near], () => there(['kit', 'check', kit, ...byKey(), '--store', 'far']));
      expect(far.code).toBe(0);
      const { S3_KEY: _, ...poor } = at.run.env;
      const unknown = await checkHere({ ...at.run, env: poor }, kit, '--json');
      expect({ code: unknown.code, unknown: lastJson(unknown.stdout)['unknown'].join() }).toEqual({
        code: 3,
        unknown: expect.stringMatching(/could not be compared: .*S3_KEY/),
      });
      const useless = await aKit({ ...at.run, env: { ...at.run.env, READING_SECRET: 'no-longer-valid' } });
      const end = await checkHere(at.run, useless, '--json', '--store', 'far');
      expect(end.code).toBe(9);
      expect(lastJson(end.stdout)['stores'][0]).toMatchObject({ state: 'silent', text: expect.stringContaining('SignatureDoesNotMatch') });
      expect(await checkHere(at.run, kit, '--store', 'none')).toMatchObject({ code: 2, stderr: expect.stringContaining('near, far') });
    });

    it.each<[string, (config: Yaml) => void, RegExp]>([
      [
        'a store',
        config => Object.assign(production(config)['stores'], { third: { type: 'directory', path: '/srv/third' } }),
        /stores\.third is in the config and not in the kit/,
      ],
      ['an entry', config => Object.assign(production(config)['redis'], { queue: { host: '127.0.0.1' } }), /redis\.queue is in the config/],
      [
        'another bucket',
        config => Object.assign(production(config)['stores'].far, { bucket: 'elsewhere' }),
        /stores\.far is another one than in the kit: stores\.far\.bucket/,
      ],
      ['a verify key', config => config['keys'].trusted.push(`bkp-ed25519-${'A'.repeat(43)}`), /keys\.trusted is another one/],
      ['an older kit than allowed', config => Object.assign(production(config)['kit'], { maxAge: '1ms' }), /no older than 1ms/],
    ])('is stale: %s since', async (_, edit, sentence) => {
      const { code, stdout } = await checkHere(other(edit), kit, '--json');
      expect({ code, stale: lastJson(stdout)['stale'].join() }).toEqual({ code: 10, stale: expect.stringMatching(sentence) });
    });

    it('is stale: a secret has another value, or the identity is a new one; what only says when backups run is no difference', async () => {
      const secret = await checkHere({ ...at.run, env: { ...at.run.env, APP_PGPASSWORD: 'another one' } }, kit, '--json');
      expect({ code: secret.code, stale: lastJson(secret.stdout)['stale'] }).toEqual({
        code: 10,
        stale: [expect.stringContaining('postgres.app.password (${APP_PGPASSWORD}) has another value')],
      });
      const identities = join(tempDir(), 'identities.txt');
      const pair = agePair();
      writeFileSync(identities, `${pair.identity}\n${secrets[0]}\n`);
      writeFileSync(written.identityFile, `${pair.identity}\n${secrets[0]}\n`);
      const rotated = await checkHere(at.run, kit, '--json');
      writeFileSync(written.identityFile, `${secrets[0]}\n`);
      expect({ code: rotated.code, stale: lastJson(rotated.stdout)['stale'] }).toEqual({
        code: 10,
        stale: [expect.stringContaining(`identity of ${pair.recipient} is not in the kit`)],
      });
      const later = other(config => {
        production(config)['postgres'].app.schedule = '0 5 * * *';
        production(config)['postgres'].app.retention = { daily: 3 };
      });
      expect((await checkHere(later, kit)).code).toBe(0);
    });

    it('is bad: signed by nobody whom the config trusts, or nothing backs up an entry of it', async () => {
      const strange = other(config => {
        config['keys'].trusted = [`bkp-ed25519-${'A'.repeat(43)}`];
      });
      const end = await checkHere(strange, kit, '--json');
      expect({ code: end.code, bad: lastJson(end.stdout)['bad'].join() }).toEqual({
        code: 9,
        bad: expect.stringContaining('not signed by a key'),
      });
      const more = other(config => {
        production(config)['redis'].queue = { host: '127.0.0.1' };
      });
      const wider = await aKit(more);
      const checked = await checkHere(more, wider, '--json');
      expect({ code: checked.code, rows: rowsOf(checked.stdout) }).toMatchObject({
        code: 9,
        rows: expect.arrayContaining(['redis/queue near bad']),
      });
    });

    it('a host without the signing key makes one too, and the check says that it is not signed', async () => {
      const unsigned = other(config => {
        delete config['keys'].signing;
      });
      const made = await aKit(unsigned);
      const { code, stdout } = await checkHere(unsigned, made);
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('the kit is not signed') });
    });

    it('keys with which the platform writes are taken where no others are named, with a warning that cannot be missed', async () => {
      const shared = other(config => {
        delete production(config)['kit'];
      });
      const out = join(tempDir(), 'kit.age');
      const made = await runBkp(['kit', 'export', '--out', out, ...forKey], shared);
      expect(made).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('STORE far: the kit holds the keys with which this platform writes and deletes'),
      });
      const own = await here('kit', 'export', '--out', join(tempDir(), 'kit.age'), ...forKey);
      expect(own).toMatchObject({ code: 0, stderr: expect.not.stringContaining('writes and deletes') });
    });

    it.each(['SIGTERM', 'SIGKILL'] as const)('%s in the middle of a proof leaves nothing of the kit in the clear', async signal => {
      const env = cleanMachine();
      const child = startThere(['kit', 'check', kit, ...byKey(), '--deep', '--store', 'far'], env);
      await waitFor(() => child.output().stderr.includes('prove '), 'the proof to begin');
      child.kill(signal);
      const end = await child.ended;
      expect(end.code).toBe(signal === 'SIGTERM' ? 143 : null);
      const left = textsIn(env['TMPDIR']!);
      for (const secret of secrets) expect(left.includes(secret)).toBe(false);
      if (signal === 'SIGTERM') expect(readdirSync(env['TMPDIR']!).filter(name => name.startsWith('bkp'))).toEqual([]);
    });
  });
});

it('files are there while restic has each snapshot of the newest backup, in the store that is asked', async () => {
  const [one, two, source] = [tempDir(), tempDir(), tempDir()];
  writeFileSync(join(source, 'a.txt'), 'a text');
  const config = await makeConfig({ stores: { one, two }, volumes: { uploads: { engine: 'files', paths: [source] } } });
  const at = { config: config.path, env: {} };
  expect((await runBkp(['backup'], at)).code).toBe(0);
  const kit = await aKit(at);
  const check = async () => {
    const { code, stdout } = await runBkp(['kit', 'check', kit, '--json', ...byKey()], at);
    return { code, rows: lastJson(stdout)['stores'].map(({ store, state, text }: Yaml) => `${store} ${state} ${text}`) };
  };
  const there = ['one ok 1 things are there at restic', 'two ok 1 things are there at restic'];
  expect(await check()).toEqual({ code: 0, rows: there });
  rmSync(join(two, 'bkp/production/volumes/uploads/restic/snapshots'), { recursive: true });
  expect(await check()).toEqual({
    code: 9,
    rows: [there[0], expect.stringMatching(/^two bad restic has no \d{8}T\d{6}Z-[0-9a-f]{6} any more$/)],
  });
});

it('does not call itself good when it opens the newest backup and not those from before a new key', async () => {
  const redis = await startRedis();
  const written = await makeConfig({ stores: { one: tempDir() }, redis: { cache: redis.entry() } });
  const at = { config: written.path, env: {} };
  expect((await runBkp(['backup'], at)).code).toBe(0);
  const [next, file] = [agePair(), join(tempDir(), 'identity.txt')];
  writeFileSync(file, `${next.identity}\n`);
  const run = changed({ run: at } as Setup, ({ keys }) =>
    Object.assign(keys, { recipients: [next.recipient], identity: `\${file:${file}}` }),
  );
  expect((await runBkp(['backup'], run)).code).toBe(0);
  const poor = await checkHere(run, await aKit(run), '--json');
  expect({ code: poor.code, stores: lastJson(poor.stdout)['stores'] }).toMatchObject({
    code: 3,
    stores: [{ state: 'partly', backups: 2, text: expect.stringContaining('1 of 2 backup(s) are sealed for another key') }],
  });
  writeFileSync(file, `${next.identity}\n${readFileSync(written.identityFile, 'utf8')}`);
  expect((await checkHere(run, await aKit(run))).code).toBe(0);
});

it('includes files of the host, and says where they go', async () => {
  const [store, certificate] = [tempDir(), join(tempDir(), 'ca.pem')];
  writeFileSync(certificate, 'a certificate');
  const redis = await startRedis();
  const config = await makeConfig({
    stores: { one: store },
    redis: { cache: redis.entry() },
    environment: { kit: { include: [certificate] } },
  });
  const at = { config: config.path, env: {} };
  const kit = await aKit(at);
  const to = join(tempDir(), 'kit');
  expect((await there(['kit', 'open', kit, '--to', to, ...byKey()])).code).toBe(0);
  expect(readFileSync(join(to, 'files', certificate), 'utf8')).toBe('a certificate');
  const line = readFileSync(join(to, 'RUNBOOK.md'), 'utf8')
    .split('\n')
    .find(each => each.startsWith('install -D'));
  expect(line).toBe(`install -D -m 600 files${certificate} ${certificate}`);
  await runProgram('rm', ['-f', certificate]);
  const out = join(tempDir(), 'kit.age');
  expect(await runBkp(['kit', 'export', '--out', out, ...forKey], at)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(certificate),
  });
});
