import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { aBackup, entryOf, setUp } from './etcdSetup.ts';
import { guarded } from './rig/guard.ts';
import { cleanUp, type Etcd, etcdBin, freePort, type Running, runBkp, start, startEtcd, tempDir, waitFor } from './rig/index.ts';

const learners: Running[] = [];
afterAll(async () => {
  for (const child of learners) {
    child.kill('SIGKILL');
    await child.ended;
  }
  await cleanUp();
});

/** A member of a cluster that has no vote yet. @returns its client address */
async function withLearner(etcd: Etcd): Promise<string> {
  const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
  const { members } = JSON.parse(await etcd.ask('member', 'list', '-w', 'json'));
  await etcd.ask('member', 'add', 'pupil', '--learner', `--peer-urls=${peer}`);
  const urls = ['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer];
  const cluster = ['--initial-advertise-peer-urls', peer, '--initial-cluster-state', 'existing'];
  const all = ['--initial-cluster', `default=${members[0].peerURLs[0]},pupil=${peer}`];
  const child = start(
    join(etcdBin('3.6'), 'etcd'),
    ['--name', 'pupil', '--data-dir', join(tempDir(), 'data'), ...urls, ...cluster, ...all],
    {
      env: { PATH: process.env['PATH'] ?? '' },
    },
  );
  learners.push(child);
  guarded.addPid(child.pid);
  child.process.once('exit', () => guarded.dropPid(child.pid));
  const status = async () => (await etcd.ctl(['endpoint', 'status', '-w', 'json'], { ETCDCTL_ENDPOINTS: client })).stdout;
  await waitFor(async () => JSON.parse(await status())[0].Status.isLearner === true, 'the learner');
  return client;
}

it('a learner among the endpoints is passed over by backup and doctor; learners alone are told as such', async () => {
  const etcd = await startEtcd();
  const learner = await withLearner(etcd);
  await etcd.ask('put', 'key', 'value');
  const both = await setUp(entryOf(etcd, { endpoints: [learner, etcd.endpoint] }));
  await aBackup(both);
  const well = await runBkp(['doctor', 'etcd'], both.run);
  expect({ code: well.code, stdout: well.stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^OK +rights: a snapshot may be taken/m),
  });
  const alone = await setUp(entryOf(etcd, { endpoints: [learner] }));
  const { code, stderr } = await runBkp(['backup', 'etcd'], alone.run);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/etcd\/main: every endpoint that answers is a learner[\s\S]*has to name a voting member/),
  });
  expect((await runBkp(['doctor', 'etcd'], alone.run)).stdout).toMatch(/^FAIL +rights: every endpoint that answers is a learner/m);
});

it('endpoints of two clusters are refused before the first byte: one would be stored as the other', async () => {
  const [one, other] = [await startEtcd(), await startEtcd()];
  const both = await setUp(entryOf(one, { endpoints: [one.endpoint, other.endpoint] }));
  const { code, stderr } = await runBkp(['backup', 'etcd'], both.run);
  expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringMatching(/endpoints are of 2 clusters: .* of \d+, .* of \d+/) });
  expect((await runBkp(['doctor', 'etcd'], both.run)).stdout).toMatch(/^FAIL +cluster: the endpoints are of 2 clusters/m);
});

it('a member that has lost its quorum is told as such, and gives no backup of an unknown age', async () => {
  const etcd = await startEtcd();
  await etcd.ask('put', 'key', 'value');
  const at = await setUp(entryOf(etcd));
  await etcd.ask('member', 'add', 'never-there', `--peer-urls=http://127.0.0.1:${await freePort()}`);
  const status = async () => (await etcd.ctl(['endpoint', 'status', '-w', 'json'])).stdout;
  await waitFor(async () => (await status()).includes('no leader'), 'the loss of the leader');
  const { code, stderr } = await runBkp(['backup', 'etcd'], at.run);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/no endpoint that answers has a leader[\s\S]*snapshot save FILE/),
  });
  const { stdout } = await runBkp(['doctor', 'etcd'], at.run);
  expect(stdout).toMatch(/^FAIL +rights: no endpoint that answers has a leader/m);
  expect(stdout).not.toMatch(/defrag|grant-role/);
});
