import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from '@jest/globals';
import { feederPlaces } from '../../../../src/providers/targets/postgres/feeder.ts';
import { restoreCommand } from '../../../../src/providers/targets/postgres/private.ts';
import { systemRunner } from '../../../../src/system/runner.ts';

const NAME = '000000010000000000000007';
const made: string[] = [];

function dirIn(parent: string): string {
  const dir = mkdtempSync(join(parent, "private 'server' "));
  made.push(dir);
  return dir;
}

afterEach(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true });
});

/** Runs a restore_command as PostgreSQL does: `%f` and `%p` replaced, within the data directory, by a shell. */
const run = (command: string, dataDir: string): unknown =>
  execFileSync('sh', ['-c', command.replaceAll('%f', NAME).replaceAll('%p', 'pg_wal/RECOVERYXLOG')], { cwd: dataDir });

async function taken(dataDir: string): Promise<{ linked: boolean; text: string; marks: string[] }> {
  const dir = dirIn(tmpdir());
  const { ready, taken } = feederPlaces(dir);
  for (const each of [ready, taken, join(dataDir, 'pg_wal')]) mkdirSync(each);
  writeFileSync(join(ready, NAME), 'a segment');
  const place = { dataDir, dir, owner: undefined } as unknown as Parameters<typeof restoreCommand>[1];
  const ctx = { run: systemRunner, name: 'app' } as unknown as Parameters<typeof restoreCommand>[0];
  run(await restoreCommand(ctx, place, join(dir, 'wal')), dataDir);
  const [from, to] = [join(ready, NAME), join(dataDir, 'pg_wal/RECOVERYXLOG')];
  const [there, here] = [statSync(from), statSync(to)];
  return { linked: there.ino === here.ino && there.dev === here.dev, text: readFileSync(to, 'utf8'), marks: readdirSync(taken) };
}

it('a segment that lies ready is linked to its place, without a copy, and marked as taken', async () => {
  expect(await taken(dirIn(tmpdir()))).toEqual({ linked: true, text: 'a segment', marks: [NAME] });
});

it('on another file system, where no link leads, it is copied', async () => {
  expect(await taken(dirIn('/dev/shm'))).toEqual({ linked: false, text: 'a segment', marks: [NAME] });
});

it('what is marked as absent is told so at once, without anybody being asked', async () => {
  const [dir, dataDir] = [dirIn(tmpdir()), dirIn(tmpdir())];
  const { absent } = feederPlaces(dir);
  mkdirSync(absent);
  writeFileSync(join(absent, NAME), '');
  const place = { dataDir, dir, owner: undefined } as unknown as Parameters<typeof restoreCommand>[1];
  const ctx = { run: systemRunner, name: 'app' } as unknown as Parameters<typeof restoreCommand>[0];
  const command = await restoreCommand(ctx, place, join(dir, 'nobody listens here'));
  expect(() => run(command, dataDir)).toThrow(expect.objectContaining({ status: 74 }));
  rmSync(join(absent, NAME));
  expect(() => run(command, dataDir)).toThrow(expect.objectContaining({ status: 255 }));
});
