import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, tempDir } from './rig/index.ts';
import { journalOf, resultOf, type Stack, startStack } from './stackSetup.ts';

afterAll(cleanUp);

let at: Stack;

/** A directory of root's that anybody can enter. */
function aHall(): string {
  const dir = tempDir();
  chmodSync(dir, 0o755);
  return dir;
}

const restore = (root: string, ...more: string[]) => at.bkp(['restore', 'full-dr', '--yes', '--json', '--latest', '--to', root, ...more]);

beforeAll(async () => {
  at = await startStack();
  const { code, stderr } = await at.bkp(['backup', 'full-dr', '--json']);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
});

describe('restore full-dr into a directory of root', () => {
  it.each([
    ['itself', (hall: string) => hall],
    ['the one above it', (hall: string) => join(hall, 'dr')],
  ])('that the accounts of the data cannot enter, %s: told for each part before anything is done', async (_, rootIn) => {
    const hall = aHall();
    mkdirSync(rootIn(hall), { recursive: true });
    chmodSync(hall, 0o700);
    const { code, stdout } = await restore(rootIn(hall));
    expect({ code, text: stdout }).toEqual({ code: 4, text: expect.stringMatching(/2 of 3 part/) });
    for (const part of ['postgres/app', 'redis/cache'])
      expect(stdout).toMatch(new RegExp(`${part}: uid \\d+, which is to own \\w+, cannot enter ${hall} → chmod o\\+x ${hall}`));
    expect({ left: readdirSync(rootIn(hall)), journal: journalOf(at) }).toEqual({ left: [], journal: undefined });
  });

  it('that is not there yet: it is made so that each account gets to its own place, and to nothing else', async () => {
    const root = join(aHall(), 'deep', 'dr');
    const { code, stdout, stderr } = await restore(root);
    expect({ code, text: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, text: '' });
    expect(resultOf({ stdout })['parts'].map((part: any) => part.state)).toEqual(['back', 'back', 'back']);
    const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    expect([root, join(root, '..')].map(modeOf)).toEqual(['711', '711']);
    expect(['etcd', 'postgres', 'redis'].map(kind => modeOf(join(root, kind)))).toEqual(['711', '711', '711']);
    expect(['etcd/main', 'postgres/app', 'redis/cache'].map(place => modeOf(join(root, place)))).toEqual(['700', '700', '700']);
    expect(existsSync(at.journal)).toBe(false);
  });

  it('that is not there yet, with one part only', async () => {
    const root = join(aHall(), 'deep', 'dr');
    const { code, stdout, stderr } = await restore(root, '--skip', 'postgres', '--skip', 'etcd');
    expect({ code, text: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, text: '' });
    const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    expect(['..', '.', 'redis', 'redis/cache'].map(place => modeOf(join(root, place)))).toEqual(['711', '711', '711', '700']);
    expect(existsSync(at.journal)).toBe(false);
  });

  it('that cannot be made after all: nothing is begun, and backups are not held back', async () => {
    const hall = aHall();
    // With room for bytes, and for no file or directory.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m,nr_inodes=1,mode=755', 'none', hall]);
    try {
      const { code, stdout } = await restore(join(hall, 'dr'), '--skip', 'postgres', '--skip', 'etcd');
      expect({ code, text: stdout }).toEqual({ code: 4, text: expect.stringMatching(/dr cannot be made: .*ENOSPC/) });
      expect(existsSync(at.journal)).toBe(false);
    } finally {
      execFileSync('umount', [hall]);
    }
    expect(await at.bkp(['backup', 'redis', '--json'])).toMatchObject({ code: 0 });
  });
});
