import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Event, Site, Where } from '../../src/core/contracts.ts';
import { readAll } from '../../src/flow/bytes.ts';
import { openSite } from '../../src/flow/site/index.ts';
import { systemRunner } from '../../src/system/runner.ts';
import { chunks } from '../ops/rig.ts';
import { cleanUp, isAlive, tempDir, waitFor } from './rig/index.ts';
import { kubectlStub } from './rig/kubectl.ts';
import { type Sshd, startSshd } from './rig/sshd.ts';

const path = process.env['PATH'];
const pod = kubectlStub([
  { name: 'redis-2', ready: true },
  { name: 'redis-1', ready: true },
  { name: 'redis-0', ready: true, going: true },
  { name: 'redis-a', ready: false },
]);
const home = tempDir();
let sshd: Sshd;

beforeAll(async () => {
  process.env['PATH'] = `${pod.dir}:${path}`;
  sshd = await startSshd();
});

afterAll(async () => {
  process.env['PATH'] = path;
  await sshd.stop();
  await cleanUp();
});

function around(signal = new AbortController().signal) {
  const events: Event[] = [];
  const report = { emit: (event: Event) => void events.push(event) };
  return { events, run: systemRunner, report, signal, scratch: async () => mkdtempSync(join(home, 'scratch-')) };
}

const places: Record<string, () => Where> = {
  'this host': () => 'local',
  'a pod': () => ({ kubectl: { namespace: 'prod', pod: 'redis-1', container: 'redis', temp: home } }),
  'another host': () => ({ ssh: { ...sshd.settings, temp: home } }),
};

async function at<T>(where: Where, use: (site: Site, events: Event[]) => Promise<T>): Promise<T> {
  const ctx = around();
  const site = await openSite(ctx, where);
  try {
    return await use(site, ctx.events);
  } finally {
    await site.close();
  }
}

const AWKWARD = ['', ' ', `it's`, '"$HOME" `id` \\', '*', '-n', 'two\nlines', 'ä€', '%f;|&'];

describe.each(Object.entries(places))('tools on %s', (_name, where) => {
  it('arguments travel whole, whatever is in them', () =>
    at(where(), async site => {
      const { stdout } = await site.text({ file: 'printf', args: ['%s\\0', ...AWKWARD] });
      expect(stdout.split('\0').slice(0, -1)).toEqual(AWKWARD);
    }));

  it('variables reach the tool byte for byte, and no argument shows them', () =>
    at(where(), async site => {
      const secret = `p@s%41'#$x "\\`;
      const show = 'printf "%s\\n" "$SECRET"; tr "\\0" " " </proc/self/cmdline; tr "\\0" " " </proc/$PPID/cmdline';
      const { stdout } = await site.text({ file: 'sh', args: ['-c', show], env: { SECRET: secret } });
      const [first, ...rest] = stdout.split('\n');
      expect(first).toBe(secret);
      expect(rest.join('\n')).not.toContain(secret);
      expect(readFileSync(pod.calls, 'utf8')).not.toContain(secret);
    }));

  it('stdin, stdout, stderr and the directory are the tool’s own', () =>
    at(where(), async site => {
      const program = 'cat; echo problem >&2; pwd';
      const { stdout, stderr } = await site.text({ file: 'sh', args: ['-c', program], cwd: '/usr' }, { input: 'one\n\ntwo' });
      expect(stdout).toBe('one\n\ntwo/usr\n');
      expect(stderr).toContain('problem');
    }));

  it('a failure keeps its exit code and its words', () =>
    at(where(), async site => {
      const failing = site.text({ file: 'sh', args: ['-c', 'echo "no space left" >&2; exit 7'] });
      await expect(failing).rejects.toMatchObject({ exit: 'failed', message: expect.stringMatching(/sh.*exit code 7.*no space left/s) });
      await expect(site.text({ file: 'bkp-no-such-tool', args: [] })).rejects.toMatchObject({ exit: 'failed', name: 'BkpError' });
      await expect(site.text({ file: 'true', args: [], cwd: '/no/such/dir' })).rejects.toMatchObject({ exit: 'failed' });
    }));

  it('finds a tool in the directories first, then on PATH, or not at all', () =>
    at(where(), async site => {
      writeFileSync(join(home, 'bkp-tool'), '#!/bin/sh\n', { mode: 0o755 });
      expect(await site.which('bkp-tool', ['/nowhere', home])).toBe(join(home, 'bkp-tool'));
      expect(await site.which('cat')).toMatch(/^\/.*\/cat$/);
      expect(await site.which('bkp-no-such-tool', [home])).toBeUndefined();
    }));

  it('files come and go whole, closed to others, and leave nothing behind', async () => {
    const bytes = randomBytes(3_000_001);
    const dir = await at(where(), async site => {
      const dir = await site.dir();
      const file = join(dir, `it's a file`);
      expect(statSync(dir).mode & 0o777).toBe(0o700);
      await site.write(file, chunks(bytes, 70_000));
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect((await readAll(site.read(file))).equals(bytes)).toBe(true);
      await site.write(join(dir, 'empty'), chunks(Buffer.alloc(0)));
      expect(await readAll(site.read(join(dir, 'empty')))).toHaveLength(0);
      expect(await site.names(dir)).toEqual(['empty', `it's a file`]);
      await site.remove(join(dir, 'empty'));
      await site.remove(join(dir, 'never'));
      expect(await site.names(dir)).toEqual([`it's a file`]);
      expect(await site.names(join(dir, 'never'))).toEqual([]);
      await expect(readAll(site.read(join(dir, 'never')))).rejects.toThrow(/never/);
      return dir;
    });
    expect(existsSync(dir)).toBe(false);
  });

  it('a tool is ended with the run that started it', async () => {
    const stop = new AbortController();
    const site = await openSite(around(stop.signal), where());
    const file = join(home, `pid-${randomBytes(4).toString('hex')}`);
    const running = site.text({ file: 'sh', args: ['-c', 'echo $$ >"$0"; exec sleep 60', file] });
    const pid = await waitFor(() => existsSync(file) && Number(readFileSync(file, 'utf8')));
    stop.abort(new Error('stopped'));
    await expect(running).rejects.toThrow('stopped');
    await waitFor(() => !isAlive(pid), 'the tool there to be ended');
    await site.close();
  });
});

describe('a pod', () => {
  const where = (change: object = {}): Where => ({ kubectl: { namespace: 'prod', selector: 'app=redis', ...change } });

  it('is the first by name of those that are ready and are to stay', () =>
    at(where(), async site => expect(site.name).toBe('pod prod/redis-1')));

  it('is named when there is none that is ready', async () => {
    const none = kubectlStub([{ name: 'redis-0', ready: false }]);
    process.env['PATH'] = `${none.dir}:${path}`;
    try {
      await expect(openSite(around(), where())).rejects.toMatchObject({ message: expect.stringMatching(/no pod of app=redis .*1 found/) });
    } finally {
      process.env['PATH'] = `${pod.dir}:${path}`;
    }
  });

  it('that is not there is told as such, not as a failure of the tool', () =>
    at({ kubectl: { namespace: 'prod', pod: 'gone-0' } }, async site => {
      await expect(site.text({ file: 'true', args: [] })).rejects.toMatchObject({
        message: expect.stringMatching(/^pod prod\/gone-0 could not be reached:.*not found/s),
      });
    }));

  it('a tail that kubectl cuts while it ends with 0 is seen', () =>
    at(where({ temp: home }), async site => {
      const file = join(await site.dir(), 'dump');
      await site.write(file, chunks(randomBytes(200_000)));
      pod.cut(199_000);
      await expect(readAll(site.read(file))).rejects.toMatchObject({
        exit: 'failed',
        message: expect.stringMatching(/did not come whole.*199000 bytes of 200000/),
      });
      pod.cut(undefined);
    }));

  it('a value with a line break is refused: what follows it would be a name', () =>
    at(where(), async site => {
      const wrong = site.text({ file: 'true', args: [], env: { A: 'x\nPATH=/tmp' } });
      await expect(wrong).rejects.toMatchObject({ exit: 'usage', message: expect.stringContaining('A holds a line break') });
    }));
});

describe('another host', () => {
  const refused = (change: object) =>
    at({ ssh: { ...sshd.settings, ...change } }, site => site.text({ file: 'true', args: [] })).catch(error => error.message as string);

  it('that is not known, not there, or does not know the key is told as such', async () => {
    const strange = join(home, 'other');
    writeFileSync(strange, '');
    expect(await refused({ knownHosts: strange })).toMatch(
      /^host 127\.0\.0\.1 could not be reached by ssh:.*Host key verification failed/s,
    );
    expect(await refused({ port: 1 })).toMatch(/could not be reached by ssh:.*Connection refused/s);
    expect(await refused({ identityFile: join(home, 'no-key') })).toMatch(/could not be reached by ssh:.*Permission denied/s);
  });
});
