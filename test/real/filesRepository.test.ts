import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { BASE, filesWorld, fill, picture, type World } from './filesWorld.ts';
import { answer, cleanUp, startFaulty, startVersity } from './rig/index.ts';

afterAll(cleanUp);

async function comesBack(at: World, id: string): Promise<void> {
  const to = join(at.dir, `back-${id}`);
  await at.result(0, 'restore', 'volumes', 'data', '--from-backup', id, '--to', to, '--yes');
  expect(picture(to)).toBe(picture(at.source));
}

describe('a repository of restic is never made over another one', () => {
  it('where an S3 says that its config is not there: the backup fails, and every one of before comes back', async () => {
    const faulty = await startFaulty(await startVersity());
    const { region, endpoint, accessKey, secretKey } = faulty;
    const at = await filesWorld({
      s3: { type: 's3', region, endpoint, accessKey, secretKey, pathStyle: true, bucket: await faulty.bucket() },
    });
    fill(at.source);
    const { backups } = await at.result(0, 'backup', 'volumes');
    const asked: string[] = [];
    const isConfig = (seen: { method: string; path: string }): boolean => seen.method === 'HEAD' && seen.path.endsWith('/restic/config');
    faulty.faults = [{ when: seen => isConfig(seen) && asked.push(seen.path) > 0, act: answer(404, '') }];
    const run = await at.bkp('backup', 'volumes');
    faulty.faults = [];
    expect(asked).not.toEqual([]);
    expect(run.code).not.toBe(0);
    expect(run.stderr).toMatch(
      /says that the config of restic's repository is not there, and has \S+\/restic\/\S+: no new repository is made/,
    );
    await comesBack(at, backups[0].id);
    const later = await at.result(0, 'backup', 'volumes');
    await comesBack(at, later.backups[0].id);
  });

  it('where the config is lost: the other store goes on, and what to do is said', async () => {
    const at = await filesWorld({ one: 'directory', two: 'directory' });
    fill(at.source);
    const { backups } = await at.result(0, 'backup', 'volumes');
    const keys = (): string[] => readdirSync(join(at.dir, 'one', BASE, 'restic/keys'));
    const before = keys();
    rmSync(join(at.dir, 'one', BASE, 'restic/config'));
    const run = await at.bkp('backup', 'volumes');
    expect(run.code).toBe(3);
    expect(run.stderr).toMatch(/store one does not hold it: .* no new repository is made/);
    expect(keys()).toEqual(before);
    await comesBack(at, backups[0].id);
    rmSync(join(at.dir, 'one', BASE), { recursive: true });
    await at.result(0, 'backup', 'volumes');
  });

  it('one that was begun and has only its key is made anew, and has one key then', async () => {
    const at = await filesWorld({ one: 'directory' });
    fill(at.source);
    await at.result(0, 'backup', 'volumes');
    const root = join(at.dir, 'one', BASE);
    const [begun] = readdirSync(join(root, 'restic/keys'));
    for (const name of readdirSync(join(root, 'restic'))) if (name !== 'keys') rmSync(join(root, 'restic', name), { recursive: true });
    const refused = await at.bkp('backup', 'volumes');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/and has \S+\/backups\/\S+: no new repository is made/);
    rmSync(join(root, 'backups'), { recursive: true });
    writeFileSync(join(at.source, 'more'), 'more');
    const { backups } = await at.result(0, 'backup', 'volumes');
    const keys = readdirSync(join(root, 'restic/keys'));
    expect([keys.length, keys.includes(begun!)]).toEqual([1, false]);
    await comesBack(at, backups[0].id);
  });
});
