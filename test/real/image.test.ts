import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { commandsToRun } from './docs/page.ts';
import {
  type Container,
  cleanUp,
  givenTo,
  hadolint,
  IMAGE,
  imageReady,
  inImage,
  makeConfig,
  Pod,
  type Postgres,
  podman,
  podmanLine,
  type Redis,
  root,
  run,
  runBkp,
  type S3Server,
  s3Client,
  startInImage,
  startPostgres,
  startRedis,
  startVersity,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { filesIn, stub } from './stub.ts';

afterAll(cleanUp);

const UID = 10001;
const WORK = '/var/lib/bkp';

const lastOf = (stdout: string): Record<string, any> => JSON.parse(stdout.trim().split('\n').at(-1)!);

// Before any test, and not within one: on a bare machine the image is still being built.
await imageReady();

it('hadolint has nothing to say about the Dockerfile', async () => {
  expect(await run(hadolint(), ['Dockerfile'], { cwd: root })).toMatchObject({ stdout: '', stderr: '' });
});

describe('the image', () => {
  let db: Postgres;
  let redis: Redis;
  let s3: S3Server;
  let bucket: string;
  let local: string;
  let configDir: string;
  let work: string;

  const secrets = () => ({ ...db.bkpEnv, S3_SECRET: s3.secretKey });
  const within = (more: Container = {}): Container => ({
    ...more,
    mounts: [local, `${configDir}:${configDir}:ro`, `${work}:${WORK}`, ...(more.mounts ?? [])],
    env: { BKP_CONFIG: join(configDir, 'bkp.yaml'), ...secrets(), ...more.env },
  });
  const good = async (args: readonly string[], more?: Container) => {
    const end = await inImage([...args, '--json'], within(more));
    if (end.code !== 0) throw new Error(`bkp ${args.join(' ')} ended with ${end.code}: ${end.stderr}${end.stdout}`);
    return { ...end, last: lastOf(end.stdout) };
  };

  const rendered = async (...words: string[]): Promise<any[]> => {
    const { code, stdout, stderr } = await runBkp(['render', 'kubernetes', ...words], { config: join(configDir, 'bkp.yaml') });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    return parseAllDocuments(stdout).map(each => each.toJS());
  };
  /** Runs the job of a rendered CronJob as it is, but for `--json`. */
  const cronJob = async (objects: readonly any[], name: string, config: string, claims: Record<string, string> = {}) => {
    const { spec } = objects.find(({ kind, metadata }) => kind === 'CronJob' && metadata.name === name);
    const pod = spec.jobTemplate.spec.template.spec;
    const { data } = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === config);
    const { args, container } = await new Pod(pod, { config: data, secrets: secrets(), claims }).container(pod.containers[0]);
    return { spec, end: await inImage([...args, '--json'], container) };
  };

  beforeAll(async () => {
    [db, redis, s3] = await Promise.all([startPostgres({ version: '15' }), startRedis(), startVersity()]);
    bucket = await s3.bucket();
    local = tempDir();
    await db.sql('create table t as select n, repeat(md5(n::text), 30) as text from generate_series(1, 20000) n');
    const entry = { type: 's3', endpoint: s3.endpoint, region: s3.region, bucket, accessKey: s3.accessKey, secretKey: '${S3_SECRET}' };
    const config = await makeConfig({
      stores: { local, offsite: entry },
      postgres: { app: db.entry({ bin: [], dataDir: '/var/lib/postgresql/data/pgdata' }) },
      redis: { cache: redis.entry() },
    });
    configDir = config.dir;
    await givenTo(UID, local, configDir);
  });

  beforeEach(async () => {
    work = tempDir();
    await givenTo(UID, work);
  });

  it('says what it is, runs as nobody special under an init, and keeps no secret key', async () => {
    const { Config } = JSON.parse((await podman('image', 'inspect', IMAGE)).stdout)[0];
    expect(Config).toMatchObject({ User: '10001:10001', WorkingDir: WORK, Entrypoint: ['/usr/bin/tini', '--', 'bkp'] });
    for (const name of ['title', 'description', 'licenses', 'version', 'revision', 'base.name'])
      expect(Config.Labels[`org.opencontainers.image.${name}`]).toMatch(/./);
    const { stdout } = await inImage(['-c', 'find /etc/ssl/private -name "*.key"; locale -a'], { entrypoint: 'sh' });
    expect(stdout).not.toContain('.key');
    for (const locale of ['C.utf8', 'de_DE.utf8', 'en_US.utf8', 'tr_TR.utf8']) expect(stdout.split('\n')).toContain(locale);
  });

  it('has a tool for every kind of target', async () => {
    const { last } = await good(['version']);
    expect(last).toMatchObject({ oneFile: true, commit: expect.stringMatching(/^[0-9a-f]{40}/), node: expect.stringMatching(/^v24\./) });
    const majors = last['tools'].filter(({ name }: any) => name === 'postgres').map(({ version }: any) => Number.parseInt(version, 10));
    expect(majors.sort()).toEqual([15, 18]);
    const names = 'age bzip2 etcd etcdctl etcdutl kubectl pg_basebackup psql redis-cli redis-server restic samba-tool ssh tar zstd'.split(
      ' ',
    );
    for (const name of names) expect(last['tools']).toContainEqual({ name, path: expect.any(String), version: expect.any(String) });
  });

  it('CF13: backs up into two stores and restores, on a read-only root as uid 10001 without /tmp', async () => {
    const { last } = await good(['backup']);
    expect(last['backups'].map(({ kind, exit }: any) => `${kind} ${exit}`).sort()).toEqual(['postgres done', 'redis done']);
    await good(['restore', 'postgres', '--latest', '--from', 'offsite', '--to', `${WORK}/restored`, '--yes']);
    const asked = await inImage(['--single', '-D', `${WORK}/restored`, 'postgres'], {
      ...within({ input: 'select count(*) from t\n' }),
      entrypoint: '/usr/lib/postgresql/15/bin/postgres',
    });
    expect(asked.stdout).toContain('count = "20000"');
    expect(statSync(join(work, 'restored')).uid).toBe(UID);
    await good(['restore', 'redis', '--latest', '--to', `${WORK}/redis`, '--yes']);
    expect(filesIn(work).filter(file => file.startsWith('bkp-'))).toEqual([]);
  });

  it('docs/how-to/container.md', async () => {
    const restored = tempDir();
    await givenTo(UID, restored);
    const mounts = [`${configDir}:/etc/bkp:ro`, `${configDir}:${configDir}:ro`, `${work}:${WORK}`, `${local}:${local}`];
    const words = {
      'docker run': `${podmanLine()} run --network host --ulimit nofile=20000:20000 --ulimit nproc=10000:10000`,
      '-v /etc/bkp:/etc/bkp:ro -v bkp-work:/var/lib/bkp': mounts.map(mount => `-v ${mount}`).join(' '),
      ' -v /srv/backup:/srv/backup': '',
      '/srv/restored:/srv/restored': `${restored}:/srv/restored`,
      '-e APP_PGPASSWORD': Object.keys(secrets())
        .map(name => `-e ${name}`)
        .join(' '),
      ' bkp backup': ` ${IMAGE} backup`,
      ' bkp restore': ` ${IMAGE} restore`,
    };
    const lines = commandsToRun('docs/how-to/container.md').map(text =>
      Object.entries(words).reduce((line, [word, is]) => line.replace(word, () => is), text),
    );
    expect(lines).toHaveLength(2);
    for (const line of lines) await run('bash', ['-euc', line], { env: { ...process.env, ...secrets() } });
    expect(statSync(join(restored, 'app/PG_VERSION')).uid).toBe(UID);
  });

  it("a rendered restore's Job runs in an image that has PostgreSQL and no bkp, by the file that bkp's image gives", async () => {
    await good(['backup', 'postgres']);
    const words = ['--restore', 'postgres/app', '--workload', 'statefulset/db', '--selector', 'app=db', '--claim', 'data-db-0'];
    const objects = await rendered(...words, '--namespace', 'shop', '--database-image', 'postgres:15', '--run-as', '999');
    const job = objects.find(({ kind }) => kind === 'Job').spec.template.spec;
    const claim = tempDir();
    const pod = new Pod(job, {
      config: objects.find(({ kind }) => kind === 'ConfigMap').data,
      secrets: secrets(),
      claims: { 'data-db-0': claim },
    });
    const given = await pod.container(job.initContainers.find(({ name }: { name: string }) => name === 'program'));
    expect(await inImage(given.args, given.container)).toMatchObject({ code: 0, stderr: '' });
    const { args, container } = await pod.container(job.containers[0]);
    // The image that PostgreSQL is in stands for the database's own; nothing of bkp in it can be seen.
    const bare = tempDir();
    const end = await inImage(args, { ...container, mounts: [...container.mounts!, `${bare}:/opt/bkp:ro`] });
    expect({ code: end.code, stderr: end.stderr }).toMatchObject({ code: 0 });
    expect(statSync(join(claim, 'pgdata/PG_VERSION')).uid).toBe(999);
  });

  it('CF15: a rendered CronJob is never twice at a time nor for ever, and its job is a backup in the claim and in the store elsewhere', async () => {
    const claim = tempDir();
    // It gives the claim what the store elsewhere has already, too.
    const { spec, end } = await cronJob(await rendered(), 'bkp-backup-redis-cache', 'bkp-config', { 'bkp-local-redis-cache': claim });
    expect(spec).toMatchObject({ concurrencyPolicy: 'Forbid', startingDeadlineSeconds: expect.any(Number) });
    expect(spec.jobTemplate.spec).toMatchObject({ activeDeadlineSeconds: expect.any(Number), backoffLimit: expect.any(Number) });
    expect({ code: end.code, stderr: end.stderr }).toMatchObject({ code: 0 });
    expect(lastOf(end.stdout)['backups'][0].stores.map(({ name, ok }: any) => [name, ok])).toEqual([
      ['local', true],
      ['offsite', true],
    ]);
    expect(filesIn(claim).join()).toContain(`${lastOf(end.stdout)['backups'][0].id}/manifest.json`);
  });

  it('the rendered drill brings everything back out of the store elsewhere, in a pod that may write to its scratch claim alone', async () => {
    await good(['backup']);
    const { end } = await cronJob(await rendered(), 'bkp-drill-full-dr', 'bkp-config-drill');
    expect({ code: end.code, stderr: end.stderr }).toMatchObject({ code: 0 });
    const { drill, recordedIn } = lastOf(end.stdout);
    expect(drill.targets.map(({ kind, store, result }: any) => `${kind} ${store} ${result}`).sort()).toEqual([
      'postgres offsite passed',
      'redis offsite passed',
    ]);
    expect(recordedIn).toEqual(['offsite']);
  });

  it('CF13: without a directory that can be written it ends with 2, names the setting and stores nothing', async () => {
    const before = filesIn(local);
    const { mounts, ...rest } = within();
    const end = await inImage(['backup'], { ...rest, mounts: mounts!.filter(mount => !mount.endsWith(WORK)) });
    expect(end).toMatchObject({ code: 2, stderr: expect.stringMatching(/\/var\/lib\/bkp.*\n.*`temp:`.*TMPDIR/) });
    expect(filesIn(local)).toEqual(before);
  });

  it('CF12: `stop` in the middle of an upload ends with 143 and leaves nothing', async () => {
    const left = () => filesIn(local).filter(file => !file.includes('/runs/'));
    const before = left();
    // Node there is at another path than here.
    const dir = stub('zstd', '');
    const script = '#!/bin/sh\nhead -c 41943040 /dev/urandom\nexec sleep 1000\n';
    await run('sh', ['-c', `printf '%s' "$1" > "$0/zstd"`, dir, script]);
    const child = startInImage(
      ['backup', 'postgres', '--json'],
      within({ mounts: [dir], env: { PATH: `${dir}:/usr/local/bin:/usr/bin:/bin` } }),
    );
    await waitFor(() => filesIn(local).some(file => file.includes('.tmp-')), 'the upload to begin');
    // What has not ended by then is killed, and ends with 137.
    await podman('stop', '--time', '120', child.name);
    const end = await child.ended;
    expect(end.code).toBe(143);
    expect(lastOf(end.stdout)).toMatchObject({ type: 'error', exit: 143 });
    expect(left()).toEqual(before);
    expect((await s3Client(s3).send(new ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads ?? []).toEqual([]);
    expect(filesIn(work).filter(file => file.startsWith('bkp-'))).toEqual([]);
  });

  it('CF16: a tool that warns and ends with 0 is a backup with a warning', async () => {
    const dir = stub('pg_basebackup', '');
    const real = '/usr/lib/postgresql/15/bin/pg_basebackup';
    const script = `#!/bin/sh\n[ "$1" = --version ] || echo 'WARNING:  skipping special file "./odd"' >&2\nexec ${real} "$@"\n`;
    await run('sh', ['-c', `printf '%s' "$1" > "$0/pg_basebackup"`, dir, script]);
    const { stdout, code } = await good(['backup', 'postgres'], {
      mounts: [dir],
      env: { PATH: `${dir}:/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin` },
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/"type":"warning".*skipping special file/);
    const { last } = await good(['list']);
    expect(last['backups'].some(({ warnings }: any) => warnings.join().includes('skipping special file'))).toBe(true);
  });

  it('tells after a restore that this libc or ICU sorts otherwise, and what to type', async () => {
    await db.sql("create database shop template template0 locale_provider icu icu_locale 'de'");
    await db.sql("update pg_database set datcollversion = '1.2' where datname = 'shop'");
    await good(['backup', 'postgres']);
    const { stdout, last } = await good(['restore', 'postgres', '--latest', '--to', `${WORK}/restored`, '--yes']);
    expect(stdout).toMatch(/"type":"warning".*collation its default is of version 1\.2 in database \\"shop\\"/);
    expect(last['next'].join('\n')).toContain('REFRESH COLLATION VERSION');
  });
});
