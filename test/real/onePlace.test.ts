import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { lastJson, type Yaml } from './change.ts';
import { cleanUp, makeConfig, type Redis, runBkp, type S3Server, startRedis, startVersity, tempDir } from './rig/index.ts';
import { filesIn } from './stub.ts';

afterAll(cleanUp);

/** A link beside what it leads to. */
const linked = (): { one: string; two: string } => {
  const [one, dir] = [tempDir(), tempDir()];
  symlinkSync(one, join(dir, 'link'));
  return { one, two: join(dir, 'link') };
};

describe('one place under two names, which no config shows', () => {
  let redis: Redis;
  let s3: S3Server;
  beforeAll(async () => {
    redis = await startRedis();
    await redis.cli('SET', 'a', 'b');
    s3 = await startVersity();
  });

  const places: Record<string, () => Promise<Record<string, Yaml>>> = {
    'a link to a directory': async () => {
      const { one, two } = linked();
      return { a: { type: 'directory', path: one }, b: { type: 'directory', path: two } };
    },
    'two names of a host': async () => {
      const { region, accessKey, secretKey, endpoint } = s3;
      const account = { type: 's3', region, accessKey, secretKey, bucket: await s3.bucket() };
      return { a: { ...account, endpoint }, b: { ...account, endpoint: endpoint.replace('127.0.0.1', 'localhost') } };
    },
  };

  it.each(Object.keys(places))('%s: doctor fails, a backup says so, and status is red', async how => {
    const stores = await places[how]!();
    const other = tempDir();
    const { path: config } = await makeConfig({ stores: { ...stores, other }, redis: { app: redis.entry() } });
    const doctor = await runBkp(['doctor', 'redis', '--json'], { config });
    const failed = (lastJson(doctor.stdout)['checks'] as Yaml[]).filter(({ state }) => state === 'fail');
    expect(failed).toEqual([expect.objectContaining({ name: 'stores a, b', text: expect.stringContaining('one place') })]);
    expect(doctor.code).toBe(10);
    expect(filesIn(other)).toEqual([]);
    const backup = await runBkp(['backup', 'redis'], { config });
    expect(backup.code).toBe(3);
    expect(backup.stderr).toMatch(/store [ab] is the same place as another store of this target/);
    expect((await runBkp(['status'], { config })).stdout).toMatch(/failing +redis\/app in a: .*same place/);
  });
});
