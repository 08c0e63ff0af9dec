import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { push } from '../../src/ops/status/pushgateway.ts';
import { writeWhole } from '../../src/ops/status/textfile.ts';
import { cleanUp, freePort } from '../real/rig/index.ts';
import { daemon, killAll, stoppable, untilAnswers } from '../real/rig/s3.ts';

afterAll(cleanUp);

const { signal } = new AbortController();

describe('a textfile', () => {
  let dir: string;
  let umask: number;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'bkp-text-'));
    umask = process.umask(0o077);
  });
  afterEach(() => {
    process.umask(umask);
    rmSync(dir, { recursive: true, force: true });
  });

  it('is replaced as a whole, readable for everybody whatever the umask, with nothing beside it', async () => {
    const path = join(dir, 'bkp.prom');
    writeFileSync(path, 'old');
    const before = statSync(path).ino;
    await writeWhole(path, 'new\n');
    expect(readFileSync(path, 'utf8')).toBe('new\n');
    expect(statSync(path).mode & 0o777).toBe(0o644);
    expect(statSync(path).ino).not.toBe(before);
    expect(readdirSync(dir)).toEqual(['bkp.prom']);
  });

  it.each(['pipe', 'link'])('is written into a %s that leads to no file: no file takes its place', async name => {
    const [pipe, link] = [join(dir, 'pipe'), join(dir, 'link')];
    execFileSync('mkfifo', [pipe]);
    symlinkSync('pipe', link);
    const [read] = await Promise.all([readFile(pipe, 'utf8'), writeWhole(join(dir, name), 'piped\n')]);
    expect(read).toBe('piped\n');
    expect([lstatSync(pipe).isFIFO(), lstatSync(link).isSymbolicLink()]).toEqual([true, true]);
    expect(readdirSync(dir).sort()).toEqual(['link', 'pipe']);
  });

  it('MO01: that cannot be written is a failure with the reason, and what was there stays', async () => {
    await expect(writeWhole(join(dir, 'none', 'bkp.prom'), 'x')).rejects.toMatchObject({
      exit: 'failed',
      message: expect.stringMatching(/could not be written to .*none.*ENOENT/),
    });
    chmodSync(dir, 0o755);
    await expect(writeWhole(dir, 'x')).rejects.toMatchObject({ exit: 'failed' });
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe('a real pushgateway', () => {
  let at: string;
  const group = { env: 'production' };
  const metric = (name: string, value: number) => `# HELP ${name} h\n# TYPE ${name} gauge\n${name}{env="production",store="a"} ${value}\n`;
  const shown = async () => (await (await fetch(`${at}/metrics`)).text()).split('\n').filter(line => /^bkp_/.test(line));

  beforeAll(async () => {
    const address = `127.0.0.1:${await freePort()}`;
    at = `http://${address}`;
    const gateway = daemon('prometheus-pushgateway', [`--web.listen-address=${address}`], {});
    stoppable(() => killAll([gateway]));
    await untilAnswers(`${at}/-/ready`, [gateway]);
  });

  it('takes the figures, grouped by job and environment; the next ones take the place of all of them', async () => {
    await push(at, group, metric('bkp_late', 1) + metric('bkp_failing', 0), signal);
    expect(await shown()).toEqual([
      'bkp_failing{env="production",instance="",job="bkp",store="a"} 0',
      'bkp_late{env="production",instance="",job="bkp",store="a"} 1',
    ]);
    await push(`${at}/`, group, metric('bkp_late', 0), signal);
    expect(await shown()).toEqual(['bkp_late{env="production",instance="",job="bkp",store="a"} 0']);
    await push(at, { ...group, kind: 'redis' }, metric('bkp_up', 1), signal);
    expect(await shown()).toHaveLength(2);
  });

  it('MO01: what it does not take is a failure with its own words', async () => {
    await expect(push(at, group, 'bkp_late one\n', signal)).rejects.toMatchObject({
      exit: 'failed',
      message: expect.stringMatching(/^the metrics were not taken by the pushgateway at http:\/\/127\.0\.0\.1:\d+: 400 .*parsing/),
    });
  });
});

describe('a pushgateway that is none', () => {
  let server: Server;
  let seen: { url?: string | undefined; authorization?: string | undefined } = {};
  let answer = 200;
  const address = (): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;

  beforeAll(async () => {
    server = createServer((request, response) => {
      seen = { url: request.url, authorization: request.headers.authorization };
      request.resume();
      if (request.url === '/sign-in') response.end('who are you?');
      else if (answer > 0) response.writeHead(answer, { location: '/sign-in' }).end('no thanks');
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it('gets who signs in by a header, below a prefix, and no message shows it', async () => {
    await push(`http://user:s%40cret@${address()}/behind/`, { env: 'production' }, 'x 1\n', signal);
    expect(seen).toEqual({
      url: '/behind/metrics/job/bkp/env/production',
      authorization: `Basic ${Buffer.from('user:s@cret').toString('base64')}`,
    });
    answer = 401;
    const refused = push(`http://user:s%40cret@${address()}`, {}, 'x 1\n', signal);
    await expect(refused).rejects.toMatchObject({ exit: 'failed', message: expect.stringMatching(/401 no thanks$/) });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringMatching(/cret|user/) });
  });

  it.each([302, 303, 308])('MO01: that leads elsewhere by %s has not taken them, whatever the page there answers', async status => {
    answer = status;
    await expect(push(`http://${address()}`, {}, 'x 1\n', signal)).rejects.toMatchObject({
      exit: 'failed',
      message: expect.stringContaining(`${status}, a redirect, and those are not followed`),
    });
    expect(seen.url).toBe('/metrics/job/bkp');
  });

  it('MO01: that gives no answer is given up in time, and one that is not there is told by its reason', async () => {
    answer = 0;
    await expect(push(`http://${address()}`, {}, 'x 1\n', signal, 200)).rejects.toMatchObject({
      exit: 'failed',
      message: expect.stringContaining('no answer in 0.2 s'),
    });
    await expect(push(`http://127.0.0.1:${await freePort()}`, {}, 'x 1\n', signal)).rejects.toMatchObject({
      exit: 'failed',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it.each(['pushgateway:9091', 'ftp://host', 'no address'])('%s is no address', async text => {
    await expect(push(text, {}, '', signal)).rejects.toMatchObject({ exit: 'usage' });
  });
});
