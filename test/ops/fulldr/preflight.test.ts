import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { BackupSet } from '../../../src/core/set.ts';
import type { Part } from '../../../src/ops/fulldr/part.ts';
import { preflight } from '../../../src/ops/fulldr/preflight.ts';
import { BASE, chunks, fakeTarget, type Rig, rig } from '../rig.ts';

const target = fakeTarget(() => ({ first: chunks(Buffer.alloc(1000, 'a')), second: chunks(Buffer.alloc(1000, 'b')) }));

/** A backup of two pieces in two stores; each store loses what it is told to. @returns what the preflight of a set with it says */
async function preflightOf(r: Rig, lost: Record<string, string[]>, latest = false) {
  const { manifest } = await r.backup(target);
  const { id } = manifest!;
  for (const [store, pieces] of Object.entries(lost))
    for (const piece of pieces) rmSync(join(r.dir, store, BASE, 'backups', id, `${piece}.zst.age.000`));
  const at = manifest!.recoveryPointAt;
  const member = { kind: 'fake', name: 'app', backup: id, recoveryPointAt: at };
  const set: BackupSet = { version: 1, id, env: 'prod', startedAt: at, finishedAt: at, tool: 'bkp 0', members: [member] };
  const fullDr = { options: {} } as unknown as Part['fullDr'];
  const part = {
    kind: 'fake',
    name: 'app',
    after: [],
    fullDr,
    opened: { target, ctx: r.context(), entry: { retention: {} } },
  } as unknown as Part;
  return preflight([part], { asked: latest ? { latest } : { set }, root: join(r.dir, 'dr'), force: false, random: randomBytes });
}

test('a backup comes back as long as each of its objects is in one store or another', async () => {
  using r = rig();
  expect(await preflightOf(r, { one: ['first'], two: ['second'] })).toHaveLength(1);
});

test('by --latest, too, one that is whole in no store is taken, out of several together', async () => {
  using r = rig();
  const [ready] = await preflightOf(r, { one: ['first'], two: ['second'] }, true);
  expect(ready).toMatchObject({ point: { store: 'one+two', want: { backup: ready!.manifest!.id } } });
});

test('an object that no store has is named, with what it is of', async () => {
  using r = rig();
  await expect(preflightOf(r, { one: ['first'], two: ['first', 'second'] })).rejects.toMatchObject({
    exit: 'refused',
    next: [
      expect.stringMatching(/fake\/app: .*whole in no store: one lacks \S+\/first\.zst\.age\.000; two lacks \S+\/first\.zst\.age\.000/),
    ],
  });
});
