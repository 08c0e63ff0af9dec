// A backup in a process of its own, to be killed: argv is the directory of the stores, and the seed of the keys.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { makeKeys, publicText, signingKey, signingText } from '../../src/flow/keys.ts';
import { backupTarget } from '../../src/ops/backup/index.ts';
import { openDirectory } from '../../src/providers/stores/directory.ts';
import { systemClock } from '../../src/system/clock.ts';
import { systemRunner } from '../../src/system/runner.ts';

const [dir, recipient] = process.argv.slice(2) as [string, string];
const signing = signingText(Buffer.alloc(32, 9));

async function* bytes(): AsyncGenerator<Buffer> {
  for (let n = 0; n < 40; n += 1) {
    yield randomBytes(1 << 20);
    await wait(5);
  }
}

await backupTarget(
  {
    kind: 'fake',
    config: z.any(),
    defaults: { schedule: '', rpo: '', retention: {} },
    async *doctor() {},
    async *capture() {
      for (const name of ['first', 'second']) yield { name, bytes: bytes() };
      return { identity: {}, at: new Date(), needs: [], baseline: {}, versions: {}, notCovered: [], warnings: [] };
    },
    restore: async () => undefined,
  },
  {
    env: 'prod',
    kind: 'fake',
    name: 'app',
    config: {},
    base: 'prod/fake/app',
    stores: ['one', 'two'].map(name => openDirectory(name, { type: 'directory', path: join(dir, name) })),
    need: 1,
    keys: makeKeys({ recipients: [recipient], signing: () => signing, trusted: [publicText(signingKey(signing))] }),
    timezone: 'UTC',
    weekStart: 'sunday',
    run: systemRunner,
    clock: systemClock,
    report: { emit: () => {} },
    signal: new AbortController().signal,
    scratch: async () => dir,
  },
  { newLineage: false, alarmBelow: 50, acceptSize: false, random: randomBytes(3), tool: 'test' },
);
