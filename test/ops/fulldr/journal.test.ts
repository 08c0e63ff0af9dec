import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import type { Journal } from '../../../src/core/journal.ts';
import { Recorder, readJournal } from '../../../src/ops/fulldr/journal.ts';
import { removeTemp, tempDir } from '../../real/rig/index.ts';

const dir = tempDir();
afterAll(() => removeTemp(dir));

const step = { wave: 0, want: { latest: true }, to: '/srv/back', state: 'waiting' } as const;
const journal: Journal = {
  version: 1,
  id: '20260301T020000Z-abcdef',
  env: 'production',
  asked: '--latest',
  startedAt: '2026-03-01T02:00:00Z',
  steps: [
    { ...step, places: [], kind: 'redis', name: 'cache' },
    { ...step, places: [], kind: 'etcd', name: 'kube' },
  ],
};

test('a journal that could not be written once is written by the next step of a part, with what it lacked', async () => {
  const file = join(dir, 'journal.json');
  const recorder = new Recorder(file, journal);
  mkdirSync(`${file}.new`);
  const failing = recorder.write({ kind: 'redis', name: 'cache' }, { state: 'begun' });
  await expect(failing).rejects.toThrow(/the journal .* cannot be written/);
  rmdirSync(`${file}.new`);
  await recorder.write({ kind: 'etcd', name: 'kube' }, { state: 'back' });
  expect((await readJournal(file))?.steps.map(({ state }) => state)).toEqual(['begun', 'back']);
});
