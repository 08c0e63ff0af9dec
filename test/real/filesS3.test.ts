import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BASE, filesWorld, fill, picture, type World } from './filesWorld.ts';
import {
  answer,
  cleanUp,
  errorIn200,
  type S3Server,
  type Seen,
  s3Client,
  stall,
  startFaulty,
  startRgw,
  startVersity,
} from './rig/index.ts';

afterAll(cleanUp);

/** A backup of which no store has a manifest. */
const OLD = '20260115T020000Z-4f2a1c';

describe('files into two services of S3, of which restic knows one at a time', () => {
  let rgw: S3Server;
  /** Keeps versions, so that a deletion only hides. restic signs by chunks over plain HTTP, which the stand-in of B2 refuses as B2 does. */
  let b2: S3Server;
  let at: World;
  let bucket: string;
  let id: string;

  beforeAll(async () => {
    [rgw, b2] = await Promise.all([startRgw(), startVersity()]);
    bucket = await b2.bucket({ versions: true });
    const account = { idleTimeout: '5s', retries: 3, accessKey: rgw.accessKey, secretKey: rgw.secretKey };
    at = await filesWorld({
      hetzner: { type: 'hetzner', region: 'fsn1', endpoint: rgw.endpoint, bucket: await rgw.bucket(), ...account },
      b2: { type: 'b2', region: b2.region, endpoint: b2.endpoint, bucket, ...account },
    });
    fill(at.source);
    id = (await at.result(0, 'backup', 'volumes')).backups[0].id;
  });

  const hidden = async (): Promise<number> => {
    const client = s3Client(b2);
    const { Versions = [], DeleteMarkers = [] } = await client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: `${BASE}/restic/` }),
    );
    client.destroy();
    return Versions.filter(({ IsLatest }) => !IsLatest).length + DeleteMarkers.length;
  };

  it('are in both, copied by restic, and come back out of the second alone', async () => {
    expect((await at.result(0, 'list', 'volumes')).backups).toMatchObject([{ id, copies: { hetzner: 'whole', b2: 'whole' } }]);
    const to = join(at.dir, 'back');
    const { facts } = await at.result(0, 'restore', 'volumes', 'data', '--latest', '--from', 'b2', '--to', to, '--yes');
    expect(facts.store).toBe('b2');
    expect(picture(to)).toBe(picture(at.source));
    expect((await at.bkp('verify', 'volumes')).code).toBe(0);
    expect(readdirSync(join(at.env['HOME']!, '.cache'))).toEqual(['restic']);
  });

  it('what restic deleted and a store only hid is removed by prune when it forgets a snapshot, and nothing else', async () => {
    rmSync(join(at.source, 'big'));
    writeFileSync(join(at.source, 'other'), 'x'.repeat(2_900_000));
    await at.result(0, 'backup', 'volumes');
    expect(await hidden()).toBeGreaterThan(0);
    execFileSync(
      'restic',
      [
        '-r',
        `s3:${b2.endpoint}/${bucket}/${BASE}/restic`,
        '--no-cache',
        'backup',
        '--host',
        BASE,
        '--tag',
        OLD,
        '--time',
        '2026-01-15 02:00:00',
        at.source,
      ],
      {
        env: { ...process.env, RESTIC_PASSWORD: at.password(), AWS_ACCESS_KEY_ID: b2.accessKey, AWS_SECRET_ACCESS_KEY: b2.secretKey },
        stdio: 'ignore',
      },
    );
    const { code, stderr } = await at.bkp('prune', 'volumes', '--confirm');
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(await hidden()).toBe(0);
    expect((await at.bkp('verify', 'volumes')).code).toBe(0);
  });
});

describe('a store that takes connections and falls silent', () => {
  it('restic is given up after `idleTimeout`, whatever it was asked; the store is told, and nothing is waited for without an end', async () => {
    const behind = await startVersity();
    const faulty = await startFaulty(behind);
    const { region, endpoint, accessKey, secretKey } = faulty;
    const place = { region, endpoint, accessKey, secretKey, bucket: await faulty.bucket(), pathStyle: true };
    const at = await filesWorld({ s3: { type: 's3', ...place } });
    fill(at.source);
    await at.result(0, 'backup', 'volumes');
    at.write({ idleTimeout: '2s' });
    // What bkp asks itself is answered.
    const isRestic = ({ path }: Seen): boolean => /\/restic\/(keys|index|snapshots|data)\//.test(path);
    faulty.faults = [{ when: isRestic, act: stall }];
    for (const words of [
      ['backup', 'volumes'],
      ['verify', 'volumes'],
      ['restore', 'volumes', 'data', '--latest', '--to', join(at.dir, 'back'), '--yes'],
    ]) {
      const { code, stdout, stderr } = await at.bkp(...words);
      expect({ words, code }).toEqual({ words, code: 8 });
      expect(stdout + stderr).toMatch(/: restic \w+ in store s3 got no further for 2s and was ended/);
      if (words[0] !== 'verify') expect(stderr).toMatch(/→ .*`idleTimeout:` in the entry gives it longer/);
    }
  });
});

describe('a store that answers 200 and has stored nothing', () => {
  const NOT_ALL = /store s3 has not what it took from restic: /;
  it.each([
    ['data', NOT_ALL],
    ['index', NOT_ALL],
    ['(?:data|snapshots)', /store s3 (?:does not show it|shows no snapshot)/],
  ])('what it lost of %s is found at once, the store counts as failed, and the next backup stores it anew', async (part, said) => {
    const lost = new RegExp(`/restic/${part}/`);
    const faulty = await startFaulty(await startVersity());
    const { region, endpoint, accessKey, secretKey } = faulty;
    const place = { type: 's3', region, endpoint, accessKey, secretKey, pathStyle: true };
    const [alone, second] = await Promise.all([
      filesWorld({ s3: { ...place, bucket: await faulty.bucket() } }),
      filesWorld({ near: 'directory', s3: { ...place, bucket: await faulty.bucket() } }),
    ]);
    for (const [at, code] of [
      [alone, 1],
      [second, 3],
    ] as const) {
      fill(at.source);
      await at.result(0, 'backup', 'volumes');
      writeFileSync(join(at.source, 'more'), randomBytes(3_000_000));
      faulty.faults = [{ when: ({ method, path }: Seen) => method === 'PUT' && lost.test(path), act: errorIn200() }];
      const { code: ended, stdout, stderr } = await at.bkp('backup', 'volumes');
      faulty.faults = [];
      expect([ended, stdout + stderr]).toEqual([code, expect.stringMatching(said)]);
      // Nothing new in it: where restic still counted on what is lost, this one would lack it, too.
      const { backups } = await at.result(0, 'backup', 'volumes');
      const to = join(at.dir, 'back');
      await at.result(0, 'restore', 'volumes', 'data', '--from-backup', backups[0].id, '--from', 's3', '--to', to, '--yes');
      expect(picture(to)).toBe(picture(at.source));
      expect((await at.bkp('verify', 'volumes', '--deep')).code).toBe(0);
    }
  });

  it('what it says once not to have, though a listing shows it, is not lost: no index goes for that', async () => {
    const faulty = await startFaulty(await startVersity());
    const { region, endpoint, accessKey, secretKey } = faulty;
    const at = await filesWorld({
      s3: { type: 's3', region, endpoint, accessKey, secretKey, pathStyle: true, bucket: await faulty.bucket() },
    });
    fill(at.source);
    await at.result(0, 'backup', 'volumes');
    writeFileSync(join(at.source, 'more'), randomBytes(3_000_000));
    const told: string[] = [];
    const isLook = ({ method, path }: Seen): boolean => method === 'HEAD' && path.includes('/restic/data/');
    faulty.faults = [{ when: seen => isLook(seen) && told.push(seen.path) > 0, act: answer(404, '') }];
    const { backups } = await at.result(0, 'backup', 'volumes');
    faulty.faults = [];
    expect(told).not.toEqual([]);
    const to = join(at.dir, 'back');
    await at.result(0, 'restore', 'volumes', 'data', '--from-backup', backups[0].id, '--to', to, '--yes');
    expect(picture(to)).toBe(picture(at.source));
  });
});
