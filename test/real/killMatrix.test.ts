import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BkpError } from '../../src/core/errors.ts';
import { storeAt } from '../providers/stores/s3rig.ts';
import { killedAt, stepsOf } from './killed.ts';
import {
  cleanUp,
  type Ended,
  type FaultyS3,
  makeConfig,
  type Redis,
  runBkp,
  startBkp,
  startFaulty,
  startRedis,
  startVersity,
  tempDir,
  waitFor,
} from './rig/index.ts';

afterAll(cleanUp);

let s3: FaultyS3;
let bucket: string;
let redis: Redis;
let run: { config: string; env: Record<string, string> };

beforeAll(async () => {
  const [behind, cache] = await Promise.all([startVersity(), startRedis()]);
  [s3, redis] = [await startFaulty(behind), cache];
  bucket = await s3.bucket();
  await redis.cli('DEBUG', 'POPULATE', '300', 'key', '50');
  const { endpoint, region, accessKey } = s3;
  const store = { type: 's3', pathStyle: true, endpoint, region, accessKey, bucket, secretKey: '${S3_SECRET}' };
  const config = await makeConfig({
    stores: { far: store },
    redis: { cache: redis.entry({}) },
  });
  run = { config: config.path, env: { S3_SECRET: s3.secretKey } };
});

const json = ({ stdout }: Ended): any => JSON.parse(stdout.trim().split('\n').at(-1)!);
const bkp = (...args: string[]) => runBkp([...args, '--json'], run);
const begin = (...args: string[]) => startBkp([...args, '--json'], run);

/** Backups that are called good, by id, each whole to its last byte, or this throws; and what verify says is of no backup. */
async function good(kind: string): Promise<{ ids: string[]; strays: string[] }> {
  const verified = await bkp('verify', kind, '--deep', '--no-proof');
  if (verified.code !== 0) throw new Error(`verify ${kind} ended with ${verified.code}: ${verified.stdout}${verified.stderr}`);
  const findings: { state: string; key: string }[] = json(verified).stores.flatMap((store: any) => store.findings);
  const { backups } = json(await bkp('list', kind));
  const strays = findings.filter(({ state }) => state === 'stray').map(({ key }) => key);
  return { ids: backups.map(({ id }: any) => id).sort(), strays };
}

/** A restore into a place of its own. @returns where that is */
async function back(kind: string, name: string, ...want: string[]): Promise<string> {
  const to = join(tempDir({ forServer: true }), 'back');
  const { code, stderr } = await bkp('restore', kind, name, ...want, '--to', to, '--yes');
  if (code !== 0) throw new BkpError('failed', `restore ${kind} ended with ${code}: ${stderr}`);
  return to;
}

async function objects(prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of storeAt(s3, bucket).list(prefix)) keys.push(key);
  return keys;
}

describe('killed as soon as the store has done a write', () => {
  it('backup: nothing counts before its last write, what is left is told, and the next run is whole', async () => {
    const steps = await stepsOf(s3, () => bkp('backup', 'redis'));
    expect(steps.some(step => /manifest\.json$/.test(step))).toBe(true);
    let before = (await good('redis')).ids;
    for (let n = 0; n < steps.length; n += 1) {
      const { step, ended } = await killedAt(s3, n, () => begin('backup', 'redis'));
      expect({ step, signal: ended.signal }).toEqual({ step: steps[n], signal: 'SIGKILL' });
      const { ids: after, strays: told } = await good('redis');
      const committed = steps.slice(0, n + 1).some(each => /manifest\.json$/.test(each));
      expect({ step, more: after.length - before.length }).toEqual({ step, more: committed ? 1 : 0 });
      const orphans = (await objects('bkp/production/redis/cache/backups/')).filter(key => !after.some(id => key.includes(id)));
      expect(told).toEqual(expect.arrayContaining(orphans));
      before = after;
    }
    const again = await bkp('backup', 'redis');
    expect({ code: again.code, stderr: again.code === 0 ? '' : again.stderr }).toEqual({ code: 0, stderr: '' });
    expect(existsSync(await back('redis', 'cache', '--latest'))).toBe(true);
  });

  it('restore: the place says that it is incomplete or is not there, and the next one with --force brings all back', async () => {
    const restore = (to: string) => ['restore', 'redis', 'cache', '--latest', '--to', to, '--yes'];
    const steps = await stepsOf(s3, () => back('redis', 'cache', '--latest'));
    const places: [string, (to: string) => Promise<Ended>][] = steps.map((step, n) => [
      step,
      async to => (await killedAt(s3, n, () => begin(...restore(to)))).ended,
    ]);
    places.push([
      'the place is made',
      async to => {
        const child = begin(...restore(to));
        await waitFor(() => child.process.exitCode !== null || existsSync(to), 'the place', 1);
        child.kill('SIGKILL');
        return child.ended;
      },
    ]);
    for (const [step, kill] of places) {
      const to = join(tempDir({ forServer: true }), 'back');
      const { signal } = await kill(to);
      const left = existsSync(to) ? readdirSync(to) : [];
      const again = await bkp(...restore(to), ...(left.length > 0 ? ['--force'] : []));
      expect({ step, signal, code: again.code, stderr: again.code === 0 ? '' : again.stderr }).toMatchObject({ step, code: 0 });
      expect(readdirSync(to)).not.toContain('BKP_RESTORE_INCOMPLETE');
      if (left.length > 0 && !left.includes('BKP_RESTORE_INCOMPLETE')) expect(left).toEqual(expect.arrayContaining(readdirSync(to)));
    }
  });
});
