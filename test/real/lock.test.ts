import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openS3, s3Config } from '../../src/providers/stores/s3/index.ts';
import { systemClock } from '../../src/system/clock.ts';
import { agedCopy, signerOf } from './aged.ts';
import { changed, lastJson, type Yaml } from './change.ts';
import { cleanUp, makeConfig, type Redis, runBkp, type S3Server, startRedis, startVersity, stopAllS3, tempDir } from './rig/index.ts';

const SECRET = 'S3_SECRET';

let server: Redis;
let s3: S3Server;
let at: { run: { config: string; env: Record<string, string> } };
let entry: Record<string, unknown>;
let signer: ReturnType<typeof signerOf>;

const bkp = (...args: string[]) => runBkp(args, at.run);
const withStores = (edit: (stores: Yaml, app: Yaml) => void) =>
  changed(at as never, config => {
    const { stores, redis } = config['environments'].production;
    edit(stores, redis.app);
  });

beforeAll(async () => {
  [server, s3] = await Promise.all([startRedis({}), startVersity()]);
  await server.cli('SET', 'a', '1');
  entry = {
    type: 's3',
    endpoint: s3.endpoint,
    region: s3.region,
    bucket: await s3.bucket({ lock: true }),
    accessKey: s3.accessKey,
    secretKey: `\${${SECRET}}`,
    lock: { mode: 'compliance', days: 10 },
  };
  const config = await makeConfig({
    stores: { far: entry, local: tempDir() },
    redis: { app: server.entry({ retention: { within: '10d' }, pruneShare: 100 }) },
  });
  signer = signerOf(config.keysDir);
  at = { run: { config: config.path, env: { [SECRET]: s3.secretKey } } };
});

afterAll(async () => {
  await stopAllS3();
  await cleanUp();
});

/** The bucket as bkp opens it. */
const far = () =>
  openS3(
    'far',
    { ...s3Config.parse({ ...entry, secretKey: s3.secretKey }) },
    { prefix: 'bkp', clock: systemClock, random: n => randomBytes(n) },
  );

async function held(): Promise<{ key: string; held: boolean }[]> {
  const store = far();
  const found: { key: string; held: boolean }[] = [];
  for await (const { key } of store.list('')) found.push({ key, held: (await store.heldUntil!(key)) !== undefined });
  return found;
}

it('every object of a backup is held, no record of bkp is, and what was held restores', async () => {
  const { code, stdout, stderr } = await bkp('backup', 'redis', '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { id } = lastJson(stdout)['backups'][0];
  expect((await bkp('verify', 'redis', '--deep')).code).toBe(0);
  const objects = await held();
  const own = objects.filter(({ key }) => key.includes(`/backups/${id}/`));
  expect(own.length).toBeGreaterThanOrEqual(2);
  expect(own.filter(each => !each.held)).toEqual([]);
  expect(objects.filter(({ key, held: is }) => is && !key.includes('/backups/'))).toEqual([]);
});

it('S17: prune shows until when a backup is held, lets it be and ends with 0 however often; what nothing holds goes', async () => {
  const { stdout: taken } = await bkp('backup', 'redis', '--json');
  const { id } = lastJson(taken)['backups'][0];
  const store = far();
  const base = (await held()).find(({ key }) => key.includes(`/backups/${id}/`))!.key.split('/backups/')[0]!;
  const [kept, free] = [await agedCopy(store, base, id, 30, signer), await agedCopy(store, base, id, 29, signer)];
  const until = new Date(Math.floor(Date.now() / 1000) * 1000 + 86_400_000);
  const keys: string[] = [];
  for await (const { key } of store.list(`${base}/backups/${kept}/`)) keys.push(key);
  expect((await store.hold!(keys, until)).every(({ ok }) => ok)).toBe(true);
  const why = `held by object lock until ${until.toISOString()}`;
  const plan = (await bkp('prune', 'redis', '--from', 'far')).stdout;
  expect(plan).toMatch(new RegExp(`stays +${kept} .*${why}`));
  expect(plan).toMatch(new RegExp(`GOES +${free} `));
  for (const gone of [[free], []]) {
    const { code, stdout } = await bkp('prune', 'redis', '--from', 'far', '--confirm', '--json');
    expect(code).toBe(0);
    expect(lastJson(stdout)['stores'][0]).toMatchObject({ exit: 'done', removal: { gone, failed: [] } });
  }
  expect((await held()).filter(({ key }) => key.includes(kept)).map(({ key }) => key)).toEqual(keys);
  expect((await bkp('status', 'redis', '--json')).stdout).not.toMatch(/prune fails/);
});

it('a lock that is shorter than the retention is told by config check and doctor, which end with 0 all the same', async () => {
  const short = withStores((_, app) => {
    app.retention = { within: '11d' };
  });
  const told = /what is put is held for 10 days, and retention keeps up to 11 days \(within\)/;
  const check = await runBkp(['config', 'check'], short);
  expect({ code: check.code, out: check.stdout }).toEqual({ code: 0, out: expect.stringMatching(told) });
  expect(lastJson((await runBkp(['config', 'check', '--json'], short)).stdout)['warnings']).toEqual([expect.stringMatching(told)]);
  const doctor = await runBkp(['doctor', 'redis'], short);
  expect(doctor.stdout).toMatch(/OK {4}store far: object lock: what is put is held in compliance mode for 10 day/);
  expect(doctor.stdout).toMatch(new RegExp(`WARN {2}store far: lock and retention: ${told.source}`));
  expect((await bkp('config', 'check')).stdout).not.toMatch(/warning/);
});

it('doctor --immutability: a store with a lock withstands, a directory cannot, and one that withstands is enough', async () => {
  const { code, stdout } = await bkp('doctor', '--immutability');
  expect(stdout).toMatch(/OK {4}store far: immutability: a canary in compliance mode could be neither removed nor shortened/);
  expect(stdout).toMatch(/WARN {2}store local: immutability: .*no object lock/);
  expect(code).toBe(0);
  expect((await held()).filter(({ key }) => key.includes('canary'))).toEqual([]);
  const none = withStores(stores => {
    delete stores.far.lock;
  });
  const open = await runBkp(['doctor', '--immutability'], none);
  expect({ code: open.code, out: open.stdout }).toEqual({
    code: 10,
    out: expect.stringMatching(/FAIL {2}immutability: no store withstood: whoever has the keys of this host can remove every backup/),
  });
});

it('a bucket without object lock: that copy fails with one sentence, and the backup is where it can be', async () => {
  const bucket = await s3.bucket();
  const run = withStores(stores => {
    stores.far.bucket = bucket;
  });
  const { code, stderr } = await runBkp(['backup', 'redis'], run);
  expect(code).toBe(3);
  expect(stderr).toMatch(/the config asks for object lock \(`lock`\), and the bucket has none/);
  const doctor = await runBkp(['doctor', 'redis'], run);
  expect({ code: doctor.code, out: doctor.stdout }).toEqual({
    code: 10,
    out: expect.stringMatching(/FAIL {2}store far: object lock: .*the bucket has none/),
  });
});

it('a directory with `lock` is refused with its place', async () => {
  const run = withStores(stores => {
    stores.local.lock = { mode: 'governance', days: 1 };
  });
  const { code, stderr } = await runBkp(['config', 'check'], run);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringMatching(
      /bkp\.yaml:\d+:\d+: environments\.production\.stores\.local: unknown key "lock"; allowed: type, path, price/,
    ),
  });
});
