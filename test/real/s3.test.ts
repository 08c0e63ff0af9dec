import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListMultipartUploadsCommand, PutBucketLifecycleConfigurationCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import {
  accessDenied,
  type B2,
  cleanUp,
  cutAfter,
  errorIn200,
  type FaultyS3,
  isListing,
  listing,
  makeConfig,
  type Postgres,
  pause,
  runBkp,
  type Seen,
  s3Client,
  stall,
  startB2,
  startBkp,
  startFaulty,
  startPostgres,
  startRgw,
  startVersity,
  stopBkp,
  throttle,
  tooLargeHtml,
  tooSkewed,
  waitFor,
} from './rig/index.ts';
import { aPlace } from './setup.ts';

afterAll(cleanUp);

const SECRET = 'not/a+secret=0123456789';

describe('PostgreSQL into the engine of Hetzner and into a B2, by the whole command', () => {
  let db: Postgres;
  let hetzner: FaultyS3;
  let b2: B2;
  let bucket: string;
  let options: { config: string; env: Record<string, string> };
  let id: string;

  const bkp = (...args: string[]) => runBkp(args, options);
  const last = (stdout: string) => JSON.parse(stdout.trim().split('\n').at(-1)!);
  const rows = async () => last((await bkp('list', '--json')).stdout).backups as { id: string; copies: Record<string, string> }[];
  const restore = (...args: string[]) => bkp('restore', 'postgres', 'app', '--from-backup', 'latest', '--to', aPlace(), '--yes', ...args);
  const isObject = ({ method, path }: Seen) => method === 'GET' && path.includes('base.tar');
  /** The config with something else in it. */
  const varied = (name: string, change: (config: any) => void) => {
    const config = parse(readFileSync(options.config, 'utf8'));
    change(config);
    const path = join(options.config, '..', `${name}.yaml`);
    writeFileSync(path, stringify(config));
    return { ...options, config: path };
  };

  beforeAll(async () => {
    const [rgw, versity, server] = await Promise.all([startRgw(), startVersity(), startPostgres({ version: '18' })]);
    db = server;
    await db.sql(
      "create table noise as select string_agg(md5(random()::text), '') as t from generate_series(1, 2000000) n group by n % 2000",
    );
    [hetzner, b2] = [await startFaulty(rgw), await startB2(versity)];
    bucket = await hetzner.bucket();
    const account = { accessKey: hetzner.accessKey, secretKey: '${S3_SECRET}', idleTimeout: '2s', retries: 3 };
    const config = await makeConfig({
      stores: {
        hetzner: { type: 'hetzner', region: 'fsn1', endpoint: hetzner.endpoint, bucket, ...account },
        b2: { type: 'b2', region: b2.region, endpoint: b2.endpoint, bucket: await b2.bucket(), ...account },
      },
      postgres: { app: db.entry() },
    });
    const text = parse(readFileSync(config.path, 'utf8'));
    text.environments.production.prefix = '/a//b/';
    writeFileSync(config.path, stringify(text));
    options = { config: config.path, env: { ...db.bkpEnv, S3_SECRET: SECRET } };
    const first = await bkp('backup', 'postgres', '--json');
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: '' });
    id = last(first.stdout).backups[0].id;
  });

  afterEach(() => {
    hetzner.faults = [];
    b2.busy = () => false;
  });

  it('S01 S04 S18: lies whole in both, under one prefix without doubled slashes, and was sent in parts', async () => {
    expect(await rows()).toMatchObject([{ id, copies: { hetzner: 'whole', b2: 'whole' } }]);
    const paths = hetzner.log.filter(({ method }) => method === 'PUT').map(({ path }) => path);
    expect(paths.every(path => path.startsWith(`/${bucket}/a/b/production/postgres/app/`) || path.includes('/a/b/probes/'))).toBe(true);
    expect(hetzner.log.some(({ query }) => query.has('uploadId') && query.get('partNumber') === '2')).toBe(true);
    const verified = await bkp('verify', '--deep');
    expect({ code: verified.code, out: verified.stdout }).toMatchObject({ code: 0, out: expect.stringMatching(/hetzner +1 +1/) });
  });

  it('restores from each store alone, with the rows that were there', async () => {
    const count = await db.sql('select count(*), sum(length(t)) from noise');
    for (const store of ['hetzner', 'b2']) {
      const to = aPlace();
      const run = await bkp('restore', 'postgres', 'app', '--from-backup', id, '--from', store, '--to', to, '--yes');
      expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
      const copy = await startPostgres({ version: '18', dir: to });
      expect(await copy.sql('select count(*), sum(length(t)) from noise')).toBe(count);
      await copy.destroy();
    }
  });

  it.each([
    ['with a length', { length: true }],
    ['without one', { length: false }],
  ])('S06: an answer that is cut at half, %s, is gone on with', async (_, how) => {
    hetzner.faults = [{ when: isObject, times: 2, act: cutAfter(5_000_000, how) }];
    expect((await restore('--from', 'hetzner')).code).toBe(0);
  });

  it('PG01: a store that falls silent in the middle is given up in seconds; with another store the restore goes on', async () => {
    hetzner.faults = [{ when: isObject, act: stall }];
    const to = aPlace();
    const alone = await bkp('restore', 'postgres', 'app', '--from-backup', 'latest', '--from', 'hetzner', '--to', to, '--yes');
    expect(alone.code).toBe(8);
    expect(alone.stderr).toContain('base.tar.zst.age.000');
    expect(alone.stderr).toContain('is incomplete');
    const both = await restore();
    expect(both.code).toBe(0);
    expect(both.stderr).toContain('taking it from another store');
  });

  it('S05 MO02: an upload that ends with 200 and an error inside is no copy: exit 3, and the next run heals it', async () => {
    hetzner.faults = [{ when: ({ method, query }) => method === 'POST' && query.has('uploadId'), act: errorIn200() }];
    const run = await bkp('backup', 'postgres', '--json');
    expect(run.code).toBe(3);
    const half = last(run.stdout).backups[0];
    expect(half.stores).toMatchObject([{ name: 'hetzner', ok: false, error: expect.stringContaining('InternalError') }, { ok: true }]);
    expect((await rows()).find(row => row.id === half.id)?.copies).toEqual({ hetzner: 'absent', b2: 'whole' });
    hetzner.faults = [];
    const next = await bkp('backup', 'postgres', '--json');
    expect(last(next.stdout).backups[0].healed).toEqual([{ id: half.id, store: 'hetzner' }]);
    expect((await rows()).find(row => row.id === half.id)?.copies).toEqual({ hetzner: 'whole', b2: 'whole' });
    expect((await bkp('verify', '--deep', '--from', 'hetzner')).code).toBe(0);
  });

  it('S12 PG05: listings in pages of two and out of order show the same backups, the newest by its recorded time', async () => {
    const before = await rows();
    hetzner.faults = [{ when: isListing, act: listing({ page: 2, shuffled: true }) }];
    expect(await rows()).toEqual(before);
    const dry = await restore('--from', 'hetzner', '--dry-run');
    expect(dry.stderr).toContain(`backup ${before.at(-1)!.id}`);
    hetzner.faults = [{ when: isListing, act: listing({ page: 2, tokenLost: true }) }];
    const short = await bkp('list', '--json');
    expect(short.code).toBe(3);
    expect(short.stdout).toContain('the listing is not whole');
    expect((await bkp('verify', '--from', 'hetzner')).code).toBe(8);
  });

  it('S15: a 413 in HTML is shown with the size that was sent, and not tried again', async () => {
    const isPart = ({ method, query }: Seen) => method === 'PUT' && query.has('partNumber');
    hetzner.faults = [{ when: isPart, act: tooLargeHtml }];
    const from = hetzner.log.length;
    const run = await bkp('backup', 'postgres');
    expect(run.code).toBe(3);
    expect(run.stderr).toMatch(/413/);
    expect(run.stderr).toMatch(/16777216 bytes/);
    const tried = hetzner.log.slice(from).filter(isPart);
    expect(new Set(tried.map(({ query }) => query.get('partNumber'))).size).toBe(tried.length);
  });

  it('S16: a clock that is 20 minutes apart is named, and which side is ahead', async () => {
    hetzner.faults = [{ when: () => true, act: tooSkewed() }];
    const run = await bkp('verify', '--from', 'hetzner');
    expect(run.code).toBe(8);
    expect(run.stderr).toMatch(/clock of this machine is 20 minutes behind the store's/);
  });

  it('S17: a store that lets nobody delete still gets its backup', async () => {
    hetzner.faults = [{ when: ({ method, query }) => method === 'DELETE' && !query.has('uploadId'), act: accessDenied }];
    expect((await bkp('backup', 'postgres')).code).toBe(0);
    const doctor = await bkp('doctor', 'postgres');
    expect(doctor.stdout).toMatch(/WARN {2}store hetzner: delete: it could not be removed/);
  });

  it('CF12 S11: SIGTERM in the middle of an upload ends with 143, and neither an upload nor a backup is left', async () => {
    const before = (await rows()).length;
    hetzner.faults = [{ when: ({ query }) => query.has('partNumber'), act: throttle(2_000_000) }];
    const from = hetzner.log.length;
    const child = startBkp(['backup', 'postgres'], options);
    await waitFor(() => hetzner.log.slice(from).some(({ query }) => query.has('partNumber')), 'a part on its way');
    const ended = await stopBkp(child, 'SIGTERM');
    expect(ended.code).toBe(143);
    hetzner.faults = [];
    const { Uploads = [] } = await s3Client(hetzner).send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(Uploads).toEqual([]);
    expect(await rows()).toHaveLength(before);
  });

  it('S11: killed by force it leaves an upload that no listing and no restore takes for a backup', async () => {
    const before = await rows();
    hetzner.faults = [{ when: ({ query }) => query.has('partNumber'), act: throttle(1_000_000) }];
    const from = hetzner.log.length;
    const child = startBkp(['backup', 'postgres'], options);
    await waitFor(() => hetzner.log.slice(from).some(({ query }) => query.has('partNumber')), 'a part on its way');
    await stopBkp(child, 'SIGKILL');
    await pause(200);
    hetzner.faults = [];
    expect(await rows()).toEqual(before);
    const { Uploads = [] } = await s3Client(hetzner).send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(Uploads.length).toBeGreaterThan(0);
    expect((await bkp('verify')).code).toBe(0);
  });

  it('PG18: what a console leaves to show a folder is ignored by list, and a stray to verify', async () => {
    const key = `a/b/production/postgres/app/backups/${id}/`;
    await s3Client(hetzner).send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: '' }));
    expect((await rows()).find(row => row.id === id)?.copies['hetzner']).toBe('whole');
    const run = await bkp('verify', '--from', 'hetzner');
    expect(run.code).toBe(0);
    expect(run.stdout).toContain(`stray     postgres/app in store hetzner: ${key} (0 bytes)`);
  });

  it('S09: verify reads every byte over two connections', async () => {
    const narrow = varied('narrow', ({ environments: { production } }) => {
      for (const store of Object.values<any>(production.stores)) store.connections = 2;
    });
    expect((await runBkp(['verify', '--deep'], narrow)).code).toBe(0);
  });

  it('RT17 S14: doctor tells of rules that delete and of versions that are hidden, and that no secret is shown', async () => {
    const Rules = [{ ID: 'tidy', Status: 'Enabled' as const, Filter: { Prefix: 'a/' }, Expiration: { Days: 30 } }];
    await s3Client(hetzner).send(new PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration: { Rules } }));
    const { stdout, stderr, code } = await bkp('doctor', 'postgres');
    expect(stdout).toMatch(/WARN {2}store hetzner: lifecycle: the bucket deletes objects .* on its own: tidy on "a\/"/);
    for (const what of ['put', 'ranged get', 'list', 'conditional write', 'abort', 'delete'])
      for (const store of ['hetzner', 'b2']) expect(stdout).toMatch(new RegExp(`OK +store ${store}: ${what}`));
    expect(stdout).not.toMatch(/^FAIL/m);
    expect(code).toBe(0);
    expect(stdout + stderr).not.toContain(SECRET);
  });

  it('MO10: a wrong host, a wrong secret and a bucket that is not there: exit 8, and what to correct', async () => {
    const wrong = async (name: string, change: (store: any) => void) => {
      const at = varied(name, ({ environments: { production } }) => change(production.stores.hetzner));
      return runBkp(['verify', '--from', 'hetzner'], at);
    };
    const host = await wrong('host', store => Object.assign(store, { endpoint: 'http://127.0.0.1:1' }));
    expect(host).toMatchObject({ code: 8, stderr: expect.stringContaining('ECONNREFUSED') });
    const secret = await wrong('secret', store => Object.assign(store, { secretKey: 'another-secret-0123' }));
    expect(secret).toMatchObject({ code: 8, stderr: expect.stringContaining('secretKey is wrong') });
    expect(secret.stderr).not.toContain('another-secret-0123');
    const absent = await wrong('absent', store => Object.assign(store, { bucket: 'nobody-made-this' }));
    expect(absent).toMatchObject({ code: 8, stderr: expect.stringContaining('NoSuchBucket') });
  });

  it('a B2 without room just then is asked again', async () => {
    let refused = 0;
    b2.busy = ({ method }) => method === 'PUT' && refused++ < 2;
    expect((await bkp('backup', 'postgres')).code).toBe(0);
    expect(refused).toBeGreaterThan(2);
  });
});
