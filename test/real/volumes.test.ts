import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ownerOf } from '../../src/providers/targets/volumes/labels.ts';
import { type Double, refusal, startHetzner } from '../hetzner/double.ts';
import { anImage, aServer } from '../hetzner/state.ts';
import { cleanUp, makeConfig, runBkp, startBkp, tempDir, type WrittenConfig, waitFor } from './rig/index.ts';

let double: Double;
let config: WrittenConfig;
let dir: string;

const BASE = 'bkp/production/volumes/nodes';

const write = async (entry: Record<string, unknown>): Promise<void> => {
  const nodes = { engine: 'server-snapshot', token: '${HCLOUD_TOKEN}', endpoint: double.endpoint, ...entry };
  config = await makeConfig({
    stores: { one: join(dir, 'one'), two: join(dir, 'two') },
    volumes: { nodes },
    dir,
    ...(config ? { keys: config.keys } : {}),
  });
};

beforeEach(async () => {
  dir = tempDir();
  double = await startHetzner({
    servers: [aServer(1, { labels: { backup: 'yes' } }), aServer(2), aServer(3, { labels: { backup: 'yes' } })],
    images: [anImage(90, { description: "somebody's", created_from: { id: 1, name: 'node-1' } })],
  });
  double.actionsEnd = { looks: 0, status: 'success' };
  await write({ selector: 'backup=yes' });
});
afterEach(async () => {
  expect(double.wrong).toEqual([]);
  await double.close();
});
afterAll(cleanUp);

const at = () => ({ config: config.path, env: { HCLOUD_TOKEN: double.project.token } });
const bkp = (...args: string[]) => runBkp(args, at());

/** The result of a command, which ended with this code. */
async function result(code: number, ...args: string[]): Promise<any> {
  const run = await bkp(...args, '--json');
  expect({ code: run.code, stderr: run.code === code ? '' : run.stderr }).toEqual({ code, stderr: '' });
  expect(run.stdout + run.stderr).not.toContain(double.project.token);
  return JSON.parse(run.stdout.trim().split('\n').at(-1)!);
}

const ids = (): unknown[] => double.project.images.map(({ id }) => id);
const ours = () => double.project.images.filter(({ labels }) => (labels as Record<string, string>)['bkp-owner'] === ownerOf(BASE));

/** A snapshot as an old run of this entry made it. */
const old = (id: number, change: Record<string, unknown> = {}) =>
  anImage(id, {
    labels: {
      'bkp-owner': ownerOf(BASE),
      'bkp-id': `20260101T0300${String(id).slice(-2)}Z-abcdef`,
      'bkp-server': '1',
      'bkp-epoch': String(Date.UTC(2026, 0, 1) / 1000),
    },
    ...change,
  });

describe('a backup', () => {
  it('is a labelled snapshot of each server of the selector, waited for until it is available', async () => {
    const { backups } = await result(0, 'backup', 'volumes');
    const made = ours();
    expect(made.map(({ created_from, status }) => [(created_from as { id: number }).id, status])).toEqual([
      [3, 'available'],
      [1, 'available'],
    ]);
    expect(made[0]!['labels']).toMatchObject({ 'bkp-id': backups[0].id, 'bkp-server': '3' });
    const { backups: listed } = await result(0, 'list', 'volumes');
    expect(listed).toMatchObject([{ id: backups[0].id, copies: { one: 'whole', two: 'whole' } }]);
    expect((await bkp('verify', 'volumes')).code).toBe(0);
  });

  it('VH12: of a selector that matches no server is a failure that lists what was skipped', async () => {
    await write({ selector: 'backup=maybe' });
    const run = await bkp('backup', 'volumes');
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/no server has the labels backup=maybe/);
    expect(run.stderr).toMatch(/node-1 \(1\), node-2 \(2\), node-3 \(3\)/);
    expect(ours()).toEqual([]);
  });

  it('VH01: of a server with attached volumes fails, or says in the manifest that they are not covered', async () => {
    double.project.servers[0]!['volumes'] = [123];
    const refused = await bkp('backup', 'volumes');
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(/volume 123, attached to node-1 \(1\): its data is in no snapshot/);
    expect(ours()).toEqual([]);
    await write({ servers: [1], attached: 'leave' });
    const { backups } = await result(0, 'backup', 'volumes');
    expect(backups[0].warnings).toEqual([expect.stringContaining('volume 123, attached to node-1')]);
  });

  it('VH06: that the project has no room for fails, and removes nothing to make room', async () => {
    await result(0, 'backup', 'volumes');
    const before = ids();
    double.faults.push({ when: ({ method }) => method === 'POST', ...refusal(403, 'resource_limit_exceeded', 'snapshot limit exceeded') });
    const run = await bkp('backup', 'volumes');
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/snapshot limit exceeded.*\n.*nothing was removed to make room/);
    expect(ids()).toEqual(before);
  });

  it('VH07: whose action ends in an error fails, and its own snapshots are removed again', async () => {
    double.actionsEnd = { looks: 1, status: 'error' };
    const run = await bkp('backup', 'volumes');
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/the snapshot of node-1 failed at Hetzner: Action failed/);
    expect(ids()).toEqual([90]);
    expect((await result(0, 'list', 'volumes')).backups).toEqual([]);
  });

  it('that has no answer to its order finds the snapshot by its labels, and orders no second one', async () => {
    double.faults.push({ when: ({ method }) => method === 'POST', drop: true, done: true });
    double.project.images.length = 0;
    await write({ servers: [1] });
    const finish = setInterval(() => {
      for (const image of double.project.images) Object.assign(image, { status: 'available', image_size: 2 });
    }, 100);
    await result(0, 'backup', 'volumes').finally(() => clearInterval(finish));
    expect(ours()).toHaveLength(1);
  });

  it('with `shutdown` stops each server for its snapshot and starts it again, also when that fails', async () => {
    await write({ servers: [2], shutdown: true });
    await result(0, 'backup', 'volumes');
    const posts = double.seen.filter(line => line.startsWith('POST')).map(line => line.split('/').at(-1));
    expect(posts).toEqual(['shutdown', 'create_image', 'poweron']);
    double.faults.push({ when: ({ path }) => path.endsWith('create_image'), ...refusal(422, 'invalid_input') });
    expect((await bkp('backup', 'volumes')).code).toBe(1);
    expect(double.project.servers[1]!['status']).toBe('running');
  });

  it('that is ended by a signal leaves no snapshot behind', async () => {
    double.actionsEnd = { looks: 1000, status: 'success' };
    const child = startBkp(['backup', 'volumes'], at());
    await waitFor(() => ours().length > 0, 'the snapshot begun');
    child.kill('SIGTERM');
    expect((await child.ended).code).toBe(143);
    expect(ids()).toEqual([90]);
  });

  it('with a wrong token says so, and what to do', async () => {
    const run = await runBkp(['backup', 'volumes'], { config: config.path, env: { HCLOUD_TOKEN: 'wrong-one' } });
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(/unauthorized.*\n.*the token is wrong or was revoked/);
    expect(run.stderr).not.toContain('wrong-one');
  });
});

describe('prune', () => {
  it('VH04: releases what no backup needs any more, and never what bears not all of its own marks', async () => {
    await result(0, 'backup', 'volumes');
    const kept = ours().map(({ id }) => id);
    const strangers = [
      anImage(91),
      anImage(92, {
        labels: { 'bkp-owner': ownerOf('bkp/production/volumes/others'), 'bkp-id': 'x', 'bkp-server': '1', 'bkp-epoch': '1' },
      }),
      old(93, { created_from: { id: 2, name: 'node-2' } }),
      anImage(94, { labels: { 'bkp-owner': ownerOf(BASE) } }),
    ];
    double.project.images.push(...strangers, old(95), old(96));
    const plan = await result(0, 'prune', 'volumes');
    expect(plan.elsewhere[0].going.map(({ id }: { id: string }) => id).sort()).toEqual(['95', '96']);
    expect(ids()).toHaveLength(9);
    const done = await result(0, 'prune', 'volumes', '--confirm');
    expect(done.elsewhere[0].released).toHaveLength(2);
    expect(ids().sort()).toEqual([...kept, 90, 91, 92, 93, 94].sort());
  });

  it('VH05: goes on past a protected one, and tells of it', async () => {
    await result(0, 'backup', 'volumes');
    double.project.images.push(old(95, { protection: { delete: true } }), old(96));
    const done = await result(0, 'prune', 'volumes', '--confirm');
    expect(done.elsewhere[0]).toMatchObject({
      released: [expect.stringContaining('snapshot 96')],
      locked: [{ reason: expect.stringMatching(/protected/) }],
    });
    expect(ids()).toContain(95);
    expect(ids()).not.toContain(96);
  });

  it('releases nothing while a store cannot be read, or is left out', async () => {
    await result(0, 'backup', 'volumes');
    double.project.images.push(old(95));
    const part = await result(0, 'prune', 'volumes', '--confirm', '--from', 'one');
    expect(part.elsewhere[0].error).toMatch(/--from leaves stores out/);
    expect(ids()).toContain(95);
  });
});

describe('verify', () => {
  it('names a snapshot that is gone from Hetzner, with the backup that it breaks', async () => {
    const [{ id }] = (await result(0, 'backup', 'volumes')).backups;
    double.project.images = double.project.images.filter(image => !ours().slice(0, 1).includes(image));
    const run = await bkp('verify', 'volumes');
    expect(run.code).toBe(9);
    expect(run.stdout + run.stderr).toMatch(/snapshot \d+ of node-3 is not at Hetzner any more/);
    expect(run.stdout + run.stderr).toContain(id);
  });
});

describe('a restore', () => {
  const restore = (...args: string[]) => bkp('restore', 'volumes', 'nodes', '--online', '--latest', ...args);

  it('makes a new server of the same type from the snapshot', async () => {
    await result(0, 'backup', 'volumes');
    const run = await restore('--server', '3', '--new-server', 'node-3b', '--yes');
    expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
    const made = double.project.servers.at(-1)!;
    const image = ours().find(({ created_from }) => (created_from as { id: number }).id === 3)!;
    expect(made).toMatchObject({ name: 'node-3b', server_type: 'cx22', madeFrom: String(image['id']) });
  });

  it('over a server says what dies, and takes a backup first', async () => {
    await result(0, 'backup', 'volumes');
    const dry = await restore('--server', '1', '--rebuild', '1', '--dry-run');
    expect(dry.stderr + dry.stdout).toMatch(/EVERYTHING on the disk of node-1 is DESTROYED/);
    expect(double.project.servers[0]!['rebuiltFrom']).toBeUndefined();
    expect((await restore('--server', '1', '--rebuild', '1')).code).toBe(4);
    const before = ours().length;
    const run = await restore('--server', '1', '--rebuild', '1', '--yes');
    expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
    expect(ours()).toHaveLength(before + 2);
    expect(double.project.servers[0]!['rebuiltFrom']).toBe(String(ours().at(-1)!['id']));
    expect(run.stdout).toMatch(/what was on it before is in backup/);
  });

  it.each([
    [['--new-server', 'x'], 2, /snapshots of 2 servers/],
    [['--server', '1'], 2, /becomes a new server, or is written over one/],
    [['--server', '2', '--new-server', 'x'], 6, /no snapshot of server 2/],
    [['--server', '1', '--new-server', 'x', '--server-type', 'nope'], 4, /no type of server "nope"/],
    [['--server', 'one', '--new-server', 'x'], 2, /"one" is none/],
    [['--server', '1', '--rebuild', '4', '--server-type', 'cx42'], 2, /--server-type is for a new server/],
    [['--server', '1', '--rebuild', '4', '--location', 'hel1'], 2, /--location is for a new server/],
    [['--server', '1', '--rebuild', '4'], 4, /needs a disk of 40 GB, and server node-4 has 20 GB/],
    [['--server', '1', '--rebuild', '5'], 4, /is of x86, and server node-5 is arm/],
  ])('%j is refused before anything changes', async (args, code, says) => {
    double.project.servers.push(
      aServer(4, { primary_disk_size: 20 }),
      aServer(5, { server_type: { id: 2, name: 'cax21', architecture: 'arm', disk: 80 } }),
    );
    await result(0, 'backup', 'volumes');
    const before = double.seen.filter(line => line.startsWith('POST')).length;
    const run = await restore(...args, '--yes');
    expect(run.stderr).toMatch(says);
    expect(run.code).toBe(code);
    expect(double.seen.filter(line => line.startsWith('POST'))).toHaveLength(before);
  });
});

it('doctor names the servers, what no snapshot covers, and the price', async () => {
  double.project.servers[0]!['volumes'] = [123];
  const run = await bkp('doctor', 'volumes');
  expect(run.stdout).toMatch(/node-1 \(1, running\), node-3 \(3, running\)/);
  expect(run.stdout).toMatch(/volume 123, attached to node-1/);
  expect(run.stdout).toMatch(/0\.011 EUR a month/);
});
