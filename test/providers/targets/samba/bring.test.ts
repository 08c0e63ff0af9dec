import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { INCOMPLETE } from '../../../../src/flow/place.ts';
import { bringBack } from '../../../../src/providers/targets/samba/bring.ts';
import { cleanUp, pause, tempDir } from '../../../real/rig/index.ts';

afterAll(cleanUp);

it('a restore that fails while the mark of it is being written ends after the mark: what clears the directory then meets it', async () => {
  const to = tempDir();
  // Writing to a pipe that nobody reads lasts until somebody does.
  execFileSync('mkfifo', [join(to, INCOMPLETE)]);
  const text = async ({ args }: { args: readonly string[] }): Promise<{ stdout: string; stderr: string }> => {
    if (!args.includes('restore')) return { stdout: '[global]\n', stderr: '' };
    await pause(200);
    throw new Error('something broke');
  };
  const ctx = { config: { timeouts: { restore: '1m' } }, clock: { sleep: pause } } as never;
  const tools = { site: { text }, path: '/usr/bin/samba-tool', python: '/usr/bin/python3' } as never;
  const dc = { name: 'NEWDC', hostIp: undefined, site: undefined } as never;
  const ended = bringBack(ctx, tools, { path: '/nowhere.tar', dns: true, files: [] }, to, dc, tempDir()).catch(({ message }) => message);
  expect(await Promise.race([ended, pause(1000).then(() => 'it goes on')])).toBe('it goes on');
  expect(await readFile(join(to, INCOMPLETE), 'utf8')).toContain('has not been completed');
  expect(await ended).toContain('something broke');
});
