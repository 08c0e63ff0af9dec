import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { lastJson } from './change.ts';
import { cleanUp, makeConfig, runBkp, startB2, startRedis, startVersity, tempDir } from './rig/index.ts';
import { movedAway } from './rig/undo.ts';

afterAll(cleanUp);

it('with the first store gone the stack comes back out of B2 alone', async () => {
  const [cache, queue, b2] = await Promise.all([startRedis(), startRedis(), startB2(await startVersity())]);
  await cache.cli('DEBUG', 'POPULATE', '500', 'key', '50');
  await queue.cli('SET', 'job', 'one');
  const local = tempDir();
  const far = {
    type: 'b2',
    region: b2.region,
    endpoint: b2.endpoint,
    bucket: await b2.bucket(),
    accessKey: b2.accessKey,
    secretKey: '${B2_SECRET}',
  };
  const redis = { cache: cache.entry({}), queue: queue.entry({ fullDr: { after: ['redis/cache'] } }) };
  const config = await makeConfig({ stores: { local, b2: far }, redis });
  const run = { config: config.path, env: { B2_SECRET: b2.secretKey } };
  const backup = await runBkp(['backup', 'full-dr', '--json'], run);
  expect({ code: backup.code, text: backup.code === 0 ? '' : backup.stdout }).toEqual({ code: 0, text: '' });
  movedAway(local);
  const root = join(tempDir({ forServer: true }), 'dr');
  const set = lastJson(backup.stdout)['set'];
  const ended = await runBkp(['restore', 'full-dr', '--from-backup', set, '--from', 'b2', '--to', root, '--yes', '--json'], run);
  expect({ code: ended.code, text: ended.code === 0 ? '' : ended.stdout }).toEqual({ code: 0, text: '' });
  expect(lastJson(ended.stdout)['parts'].map((part: any) => `${part.wave} ${part.name} ${part.state}`)).toEqual([
    '0 cache back',
    '1 queue back',
  ]);
  const copy = await startRedis({ dir: join(root, 'redis/cache') });
  expect((await copy.cli('DBSIZE')).trim()).toBe('500');
  await copy.destroy();
});
