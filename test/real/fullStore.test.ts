import { afterAll, describe, expect, it } from '@jest/globals';
import type { Store } from '../../src/core/contracts.ts';
import { putBytes } from '../../src/flow/bytes.ts';
import { openDirectory } from '../../src/providers/stores/directory.ts';
import { stores } from '../../src/providers/stores/index.ts';
import { systemClock } from '../../src/system/clock.ts';
import { agedCopy, signerOf } from './aged.ts';
import { lastJson } from './change.ts';
import { bkpCommand, cleanUp, makeConfig, runBkp, start, startPostgres, startRgw, tempDir } from './rig/index.ts';

afterAll(cleanUp);

const BASE = 'bkp/production/postgres/app';
const ONE_DAY = { retention: { daily: 1, weekly: 0, monthly: 0, wal: '30d' }, pruneShare: 100 };

/** A server with one store, in which are a backup of today and one for each of so many days ago. */
async function withBackups(entry: string | Record<string, unknown>, store: Store, days: readonly number[]) {
  const db = await startPostgres({ version: '15' });
  const config = await makeConfig({ stores: { far: entry }, postgres: { app: db.entry(ONE_DAY) } });
  const options = { config: config.path, env: db.bkpEnv };
  const run = await runBkp(['backup', '--json'], options);
  if (run.code !== 0) throw new Error(run.stderr);
  const young = lastJson(run.stdout)['backups'][0].id as string;
  const ids: string[] = [];
  for (const day of days) ids.push(await agedCopy(store, BASE, young, day, signerOf(config.keysDir)));
  return { options, ids };
}

async function keysOf(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('bkp/')) keys.push(key);
  return keys;
}

describe('a bucket of Ceph RGW that has as many objects as it may', () => {
  it('a backup says what to do, and prune makes room, with no lease of another and none of its own', async () => {
    const rgw = await startRgw();
    const { endpoint, region, accessKey, secretKey } = rgw;
    const entry = { endpoint, region, accessKey, secretKey, bucket: await rgw.bucket() };
    const open = stores['s3']!;
    const context = { prefix: 'bkp', clock: systemClock, random: (n: number) => Buffer.alloc(n, 7) };
    const store = open.open('far', open.config.parse({ type: 's3', ...entry }), context);
    const { options, ids } = await withBackups({ type: 's3', ...entry }, store, [35, 40]);
    const lease = `bkp/production/leases/postgres/app/prune/1-${'ab'.repeat(8)}.json`;
    const owner = { version: 1, what: 'prune', owner: 'other/1', startedAt: new Date().toISOString(), state: 'holding' };
    await putBytes(store, lease, Buffer.from(`${JSON.stringify(owner)}\n`));
    await rgw.limit(entry.bucket, 1);

    const held = await runBkp(['prune', '--confirm', '--json'], options);
    expect(held.code).not.toBe(0);
    for (const id of ids) expect(await keysOf(store)).toContain(`${BASE}/backups/${id}/manifest.json`);
    await store.remove([lease]);

    const full = await runBkp(['backup'], options);
    expect(full.code).toBe(8);
    expect(full.stderr).toMatch(/QuotaExceeded.*\n.*is full: raise its quota or cap, or let go .*bkp prune --confirm/s);

    // Room for a lease that only asks: RGW counts what is written over once more.
    await rgw.limit(entry.bucket, (await keysOf(store)).length + 1);
    const { code, stdout, stderr } = await runBkp(['prune', '--confirm', '--json'], options);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(lastJson(stdout)['stores'][0].removal.gone).toEqual([ids[1]]);
    expect(stdout).toContain('store far is full, and takes no lease on prune of postgres/app');
    expect((await keysOf(store)).filter(key => key.includes(ids[1]!) || key.includes('/leases/'))).toEqual([]);
    await rgw.limit(entry.bucket, 1000);
    expect((await runBkp(['backup'], options)).code).toBe(0);
  });
});

describe('a directory on a disk without room', () => {
  it('is pruned all the same', async () => {
    const dir = tempDir();
    const { options, ids } = await withBackups(dir, openDirectory('far', { type: 'directory', path: dir }), [35, 40]);
    const script = [
      'cp -a "$DISK/." "$COPY" && mount -t tmpfs -o size=32m tmpfs "$DISK" && cp -a "$COPY/." "$DISK"',
      '{ cat /dev/zero > "$DISK/filler" || true; }',
      '"$0" "$@"',
    ].join(' && ');
    const [file, args] = bkpCommand(['prune', '--confirm', '--json']);
    const env = {
      ...options.env,
      DISK: dir,
      COPY: tempDir(),
      BKP_CONFIG: options.config,
      PATH: process.env['PATH']!,
      HOME: tempDir(),
      TMPDIR: tempDir(),
    };
    const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const { code, stdout, stderr } = await start('unshare', ['--mount', ...user, 'sh', '-c', script, file, ...args], { env }).ended;
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('store far is full, and takes no lease on prune of postgres/app');
    expect(lastJson(stdout)['stores'][0].removal.gone).toEqual([ids[1]]);
  });
});
