import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Clock } from '../../../src/core/contracts.ts';
import { isPassing, refusalOf } from '../../../src/providers/hetzner/errors.ts';
import { type Hetzner, openHetzner } from '../../../src/providers/hetzner/index.ts';
import { image, read, server } from '../../../src/providers/hetzner/shapes.ts';
import { type Double, refusal, startHetzner } from '../../hetzner/double.ts';
import { anImage, aServer } from '../../hetzner/state.ts';
import { node24, root } from '../../real/rig/places.ts';
import { freePort } from '../../real/rig/wait.ts';

let double: Double;
let waits: number[];

/** A clock that waits for nothing and counts what it would have waited. */
function clock(): Clock {
  let now = Date.parse('2026-01-15T02:00:00Z');
  return {
    now: () => new Date(now),
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      waits.push(ms);
      now += ms;
    },
  };
}

const open = (change: { token?: string; endpoint?: string; signal?: AbortSignal } = {}): Hetzner =>
  openHetzner({ token: double.project.token, endpoint: double.endpoint, clock: clock(), signal: new AbortController().signal, ...change });

beforeEach(async () => {
  waits = [];
  const images = Array.from({ length: 60 }, (_, n) => anImage(n + 1, { labels: { n: String(n % 2) } }));
  double = await startHetzner({ servers: [aServer(1, { labels: { role: 'db' } }), aServer(2)], images });
});

afterEach(async () => {
  expect(double.wrong).toEqual([]);
  await double.close();
});

describe('listings', () => {
  it('VH03: every page of 60 images is read before anything is decided, newest first', async () => {
    const found = await open().snapshots();
    expect(found.map(({ id }) => id)).toEqual(Array.from({ length: 60 }, (_, n) => 60 - n));
    expect(double.seen).toEqual(['GET /images', 'GET /images']);
    expect(await open().snapshots('n=1')).toHaveLength(30);
  });

  it('a page that fails fails the listing', async () => {
    double.faults.push({ when: ({ query }) => query['page'] === '2', ...refusal(403, 'forbidden') });
    await expect(open().snapshots()).rejects.toMatchObject({ exit: 'failed', message: expect.stringContaining('GET /images') });
  });

  it('servers come by label', async () => {
    expect((await open().servers('role=db')).map(({ name }) => name)).toEqual(['node-1']);
    expect(await open().servers('role=web')).toEqual([]);
  });
});

describe('a snapshot', () => {
  it('is made with its labels, and waited for', async () => {
    const hetzner = open();
    const { image: made, action } = await hetzner.createSnapshot(1, 'before the upgrade', { 'bkp-id': 'x1' });
    expect(made).toMatchObject({ status: 'creating', image_size: undefined, labels: { 'bkp-id': 'x1' } });
    await hetzner.untilDone(action, 'the snapshot of node-1');
    expect(await hetzner.image(made.id)).toMatchObject({ status: 'available', image_size: 2.5, disk_size: 40, created_from: { id: 1 } });
    expect(waits).toEqual([2000, 3000]);
  });

  it('VH07: whose action ends in an error is a failure', async () => {
    double.actionsEnd = { looks: 3, status: 'error' };
    const { action } = await open().createSnapshot(1, '', {});
    await expect(open().untilDone(action, 'the snapshot of node-1')).rejects.toMatchObject({
      exit: 'failed',
      message: expect.stringMatching(/snapshot of node-1 failed at Hetzner: Action failed \(action \d+\)/),
    });
  });

  it('that takes over an hour is given up, and looked at every 15 s at most', async () => {
    double.actionsEnd = { looks: 10_000, status: 'success' };
    const { action } = await open().createSnapshot(1, '', {});
    await expect(open().untilDone(action, 'it')).rejects.toMatchObject({ message: expect.stringContaining('has not ended in 60 minutes') });
    expect(Math.max(...waits)).toBe(15_000);
  });
});

describe('what goes wrong', () => {
  it('a rate limit, a conflict and a bad gateway are asked again, ever later', async () => {
    const when = ({ method }: { method: string }) => method === 'GET';
    double.faults.push(
      { when, ...refusal(429, 'rate_limit_exceeded') },
      { when, status: 502, body: '<html><h1>502 Bad Gateway</h1></html>' },
      { when, drop: true },
      { when, ...refusal(409, 'conflict') },
    );
    expect((await open().server(1)).name).toBe('node-1');
    expect(waits).toEqual([1000, 2000, 4000, 8000]);
  });

  it('a snapshot whose answer was lost is not made twice', async () => {
    double.faults.push({ when: ({ method }) => method === 'POST', drop: true, done: true });
    await expect(open().createSnapshot(1, '', {})).rejects.toMatchObject({
      exit: 'storeUnreachable',
      next: [expect.stringContaining('whether it was done is not known')],
    });
    expect(double.project.images).toHaveLength(61);
    expect(waits).toEqual([]);
  });

  it('a snapshot that was refused for now is asked for again', async () => {
    double.faults.push({ when: ({ method }) => method === 'POST', ...refusal(429, 'rate_limit_exceeded') });
    await open().createSnapshot(1, '', {});
    expect(double.project.images).toHaveLength(61);
  });

  it('VH06: a full project is told, and nothing is asked again or removed', async () => {
    double.faults.push({
      when: ({ method }) => method === 'POST',
      ...refusal(403, 'resource_limit_exceeded', 'snapshot limit exceeded'),
      times: 9,
    });
    await expect(open().createSnapshot(1, '', {})).rejects.toMatchObject({
      exit: 'failed',
      message: expect.stringContaining('snapshot limit exceeded (resource_limit_exceeded, HTTP 403)'),
      next: [expect.stringContaining('nothing was removed to make room')],
    });
    expect(double.seen).toEqual(['POST /servers/1/actions/create_image']);
  });

  it.each([
    [401, 'unauthorized', 'usage'],
    [404, 'not_found', 'notFound'],
    [423, 'protected', 'conflict'],
    [422, 'invalid_input', 'failed'],
    [503, 'unavailable', 'storeUnreachable'],
  ])('HTTP %s (%s) ends with %s', async (status, code, exit) => {
    double.faults.push({ when: () => true, ...refusal(status, code) });
    await expect(open().image(5)).rejects.toMatchObject({ exit, message: expect.stringContaining(`GET /images/5`) });
  });

  it('the token is in no message', async () => {
    const wrong = await open({ token: 'wrong-token' })
      .servers()
      .catch(error => error);
    expect(wrong).toMatchObject({ exit: 'usage' });
    expect(JSON.stringify([wrong.message, wrong.next, String(wrong.cause)])).not.toContain('wrong-token');
  });

  it('a host that does not answer is named, after six tries', async () => {
    double.faults.push({ when: () => true, drop: true, times: 9 });
    await expect(open().servers()).rejects.toMatchObject({
      exit: 'storeUnreachable',
      message: expect.stringContaining(`GET /servers got no answer from ${double.endpoint}`),
    });
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000]);
  });

  it('a connection that is refused, or cannot be made, is told after four quick tries', async () => {
    const refused = `http://127.0.0.1:${await freePort()}/v1`;
    for (const endpoint of [refused, 'http://127.0.0.1:1/v1']) {
      waits = [];
      const told = {
        exit: 'storeUnreachable',
        message: expect.stringMatching(/got no answer from http:\/\/127\.0\.0\.1:\d+\/v1: .*(ECONNREFUSED|bad port)/),
        next: [expect.stringContaining('is `endpoint` right?')],
      };
      await expect(open({ endpoint }).servers()).rejects.toMatchObject(told);
      expect(waits).toEqual([250, 500, 1000]);
      // Nothing was sent, so nothing can have been done.
      await expect(open({ endpoint }).createSnapshot(1, '', {})).rejects.toMatchObject(told);
      expect(waits).toHaveLength(6);
    }
  });

  it('ends at once with the run', async () => {
    const stop = new AbortController();
    stop.abort(new Error('stopped'));
    await expect(open({ signal: stop.signal }).servers()).rejects.toThrow('stopped');
  });
});

describe('answers of another day', () => {
  it('new values, nulls and missing fields do no harm', () => {
    expect(
      read(server, { id: 7, name: 'six', status: 'dreaming', datacenter: undefined, volumes: null, server_type: null }, 'x'),
    ).toMatchObject({
      status: 'dreaming',
      volumes: [],
      labels: {},
    });
    expect(read(image, { id: 7, labels: null, image_size: null, created_from: null }, 'x').image_size).toBeUndefined();
  });

  it('something without an id is no image', () => {
    expect(() => read(image, { name: 'x' }, 'GET /images')).toThrow(/GET \/images with something that is not understood: id/);
  });

  it('any JSON at all is read or refused with a sentence', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        try {
          expect(typeof read(image, value, 'x').id).toBe('number');
        } catch (error) {
          expect(error).toMatchObject({ name: 'BkpError', exit: 'failed' });
        }
      }),
    );
  });

  it('of what changes something, only what was not done is asked again', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 400, max: 599 }),
        fc.constantFrom('conflict', 'rate_limit_exceeded', 'bad_gateway', 'timeout', 'locked', ''),
        (status, code) => {
          const said = refusalOf(status, code ? { error: { code, message: 'x' } } : '<html>');
          if (isPassing(said, true)) expect(['conflict', 'rate_limit_exceeded']).toContain(code);
          if (isPassing(said, true)) expect(isPassing(said, false)).toBe(true);
        },
      ),
    );
  });
});

it('the double sees what is not in the document', async () => {
  const ask = (path: string, body?: unknown) =>
    fetch(`${double.endpoint}${path}`, {
      headers: { Authorization: `Bearer ${double.project.token}`, 'Content-Type': 'application/json' },
      ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}),
    });
  await ask('/servers/1/actions/create_image', { type: 'bogus' });
  await ask('/servers?page=first');
  await ask('/no/such/path');
  expect(double.wrong.splice(0)).toHaveLength(3);
});

it('the types are those of the document', () => {
  execFileSync(node24(), ['scripts/hetzner.mjs', '--check'], { cwd: root, stdio: 'pipe' });
});
