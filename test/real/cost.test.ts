import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, makeConfig, runBkp, s3Client, startRedis, startRgw, tempDir } from './rig/index.ts';

afterAll(cleanUp);

describe('bkp cost', () => {
  let run: { config: string };
  let client: ReturnType<typeof s3Client>;
  let bucket: string;

  beforeAll(async () => {
    const [redis, server] = [await startRedis(), await startRgw()];
    bucket = await server.bucket({ versions: true });
    client = s3Client(server);
    const s3 = {
      type: 's3',
      endpoint: server.endpoint,
      region: server.region,
      bucket,
      accessKey: server.accessKey,
      secretKey: server.secretKey,
      pathStyle: true,
      price: { gbMonth: 1000, gbEgress: 100, asOf: '2026-01-15' },
    };
    await redis.cli('DEBUG', 'POPULATE', '20000', 'key', '200');
    const config = await makeConfig({ stores: { local: tempDir(), s3 }, redis: { cache: redis.entry({}) } });
    run = { config: config.path };
    expect((await runBkp(['backup', 'redis'], run)).code).toBe(0);
  });

  const cost = async (...args: string[]) => {
    const { code, stdout } = await runBkp(['cost', '--json', ...args], run);
    return { code, stores: JSON.parse(stdout.trim().split('\n').at(-1)!).stores as Record<string, any>[] };
  };

  it('counts what is stored, and old versions that no listing shows; what has no price costs nothing that is known', async () => {
    const before = await cost();
    expect(before.code).toBe(0);
    const [local, s3] = before.stores;
    expect(local).toMatchObject({ store: 'local', hidden: { bytes: 0 } });
    expect(local!['perMonth']).toBeUndefined();
    expect(local!['drillBytes']).toBeGreaterThan(1000);
    expect(s3!['bytes']).toBeGreaterThanOrEqual(s3!['drillBytes']);
    for (const text of ['first', 'second'])
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'bkp/production/redis/cache/x', Body: text.repeat(10_000) }));
    const [after] = (await cost('--from', 's3')).stores;
    expect(after!['hidden'].bytes).toBe(s3!['hidden'].bytes + 50_000);
    const billed = after!['bytes'] + after!['hidden'].bytes;
    expect(after!['perMonth']).toBeCloseTo(billed / 1e6, 6);
    expect(after!['drill']).toBeCloseTo(after!['drillBytes'] / 1e7, 6);
  });

  it('as text: a line a store, with the day of its prices', async () => {
    const { code, stdout } = await runBkp(['cost'], run);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/s3 .*EUR.*2026-01-15\ntogether: .* EUR a month/) });
  });
});
