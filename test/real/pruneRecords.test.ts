import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Evidence, encodeEvidence } from '../../src/core/evidence.ts';
import { makeId } from '../../src/core/id.ts';
import { encodeKit, type KitRecord } from '../../src/core/kit/record.ts';
import { type BackupSet, encodeSet } from '../../src/core/set.ts';
import { signerOf } from './aged.ts';
import { lastJson } from './change.ts';
import { cleanUp, makeConfig, runBkp, startRedis, tempDir } from './rig/index.ts';
import { movedAway } from './rig/undo.ts';
import { filesIn } from './stub.ts';

afterAll(cleanUp);

const DAY = 86_400_000;
const stores = { local: tempDir(), offsite: tempDir() };
const idOf = (days: number) => makeId(new Date(Date.now() - days * DAY), Uint8Array.of(0, days >> 8, days & 255));
const recordsIn = (store: string) =>
  filesIn(store)
    .filter(path => /\/(sets|drills|kits)\//.test(path))
    .sort();

let run: { config: string };
const made: Record<string, string> = {};

/** Puts an object of the environment into both stores. */
function put(path: string, bytes: Buffer | string): void {
  for (const store of Object.values(stores)) {
    mkdirSync(join(store, 'bkp/production', path, '..'), { recursive: true });
    writeFileSync(join(store, 'bkp/production', path), bytes);
  }
}

beforeAll(async () => {
  const redis = await startRedis();
  const config = await makeConfig({ stores, redis: { app: redis.entry() } });
  run = { config: config.path };
  const { stdout, code } = await runBkp(['backup', 'full-dr', '--json'], run);
  expect(code).toBe(0);
  const { set, backups } = lastJson(stdout);
  const sign = signerOf(config.keysDir);
  const raw = readFileSync(join(stores.local, `bkp/production/sets/${set}.json`), 'utf8');
  const taken = JSON.parse(raw.split('\n')[0]!) as BackupSet;
  const aSet = (name: string, days: number, backup: string) => {
    made[name] = idOf(days);
    const other = { ...taken, id: made[name]!, members: taken.members.map(member => ({ ...member, backup })) };
    put(`sets/${made[name]}.json`, encodeSet(other, sign));
  };
  made['now'] = set;
  made['backup'] = backups[0].id;
  aSet('spent', 30, idOf(31));
  aSet('kept', 31, backups[0].id);
  aSet('young', 2, idOf(3));
  made['unsigned'] = idOf(32);
  put(`sets/${made['unsigned']}.json`, raw.replace('"kind":"redis"', '"kind":"other"'));
  const aDrill = (name: string, days: number, result: 'passed' | 'failed', backup: string) => {
    const at = new Date(Date.now() - days * DAY).toISOString();
    made[name] = idOf(days);
    const target = { kind: 'redis', name: 'app', engine: 'redis', wave: 0, result, backup, store: 'local', checks: [] };
    const whole = { env: 'production', drilledIn: 'production', scope: 'redis', tool: 'bkp 0', startedAt: at, finishedAt: at, result };
    const evidence: Evidence = { version: 1, id: made[name]!, ...whole, targets: [target] };
    put(`drills/${made[name]}.json`, encodeEvidence(evidence, sign));
    put(`drills/${made[name]}.md`, 'page');
    put(`drills/${made[name]}.xml`, 'page');
  };
  aDrill('of a backup that is gone', 800, 'passed', idOf(801));
  aDrill('failed long ago', 450, 'failed', made['backup']!);
  aDrill('the newest proof', 500, 'passed', made['backup']!);
  aDrill('failed lately', 100, 'failed', made['backup']!);
  put('drills/index.html', 'page');
  const aKit = (name: string, days: number, did: KitRecord['did']) => {
    const at = new Date(Date.now() - days * DAY).toISOString();
    made[name] = idOf(days);
    const record: KitRecord = { version: 1, id: made[name]!, env: 'production', did, at, tool: 'bkp 0', kit: idOf(days), madeAt: at };
    put(`kits/${did}/${made[name]}.json`, encodeKit(record, sign));
  };
  aKit('kit of before', 900, 'exported');
  aKit('the newest kit', 850, 'exported');
  aKit('when one was proven', 840, 'proven');
  made['forged kit'] = idOf(1);
  put(`kits/exported/${made['forged kit']}.json`, '{"did":"exported"}\n');
  made['stray page'] = idOf(700);
  put(`drills/${made['stray page']}.md`, 'page');
});

const goes = () => ({
  sets: [{ id: made['spent'], reason: 'none of its 1 backup(s) is left' }],
  drills: [made['of a backup that is gone'], made['failed long ago']].map(id => ({
    id,
    reason: 'older than `drills.keep`, and newer drills say the same',
  })),
  kits: [{ id: made['kit of before'], reason: 'older than `drills.keep`, and a newer kit is on record' }],
});

describe('sets and records of drills and kits', () => {
  it('that nothing needs any more are shown by a plan of the whole environment, and by no other', async () => {
    const before = recordsIn(stores.local);
    const plan = await runBkp(['prune', '--json'], run);
    expect({ code: plan.code, records: lastJson(plan.stdout)['records'] }).toMatchObject({ code: 0, records: { ...goes(), removed: 0 } });
    expect(plan.stdout).toContain(`sets/${made['unsigned']}.json in store local is kept`);
    for (const args of [['redis'], ['--from', 'local']])
      expect(lastJson((await runBkp(['prune', ...args, '--json'], run)).stdout)['records']).toBeUndefined();
    const { stdout } = await runBkp(['prune'], run);
    expect(stdout).toMatch(/^production: 1 set\(s\) and 2 record\(s\) of drills and 1 of kits go$/m);
    expect(stdout).toContain(`  GOES  set ${made['spent']}: none of its 1 backup(s) is left`);
    expect(recordsIn(stores.local)).toEqual(before);
  });

  it('stay while a store does not answer: it may have what they are of', async () => {
    const before = recordsIn(stores.local);
    movedAway(stores.offsite);
    const { code, stdout } = await runBkp(['prune', '--confirm', '--json'], run);
    expect({ code, records: lastJson(stdout)['records'] }).toMatchObject({
      code: 8,
      records: { sets: [], drills: [], kits: [], removed: 0 },
    });
    expect(recordsIn(stores.local)).toEqual(before);
  });

  it('go from every store once that is confirmed, with their pages; what is needed stays, and nothing more goes', async () => {
    const { code, stdout } = await runBkp(['prune', '--confirm', '--json'], run);
    expect({ code, records: lastJson(stdout)['records'] }).toMatchObject({ code: 0, records: { ...goes(), removed: 18, failed: [] } });
    const stays = [
      ...['now', 'kept', 'young', 'unsigned'].map(name => `bkp/production/sets/${made[name]}.json`),
      ...['the newest proof', 'failed lately'].flatMap(name =>
        ['json', 'md', 'xml'].map(form => `bkp/production/drills/${made[name]}.${form}`),
      ),
      'bkp/production/drills/index.html',
      ...['the newest kit', 'forged kit'].map(name => `bkp/production/kits/exported/${made[name]}.json`),
      `bkp/production/kits/proven/${made['when one was proven']}.json`,
    ].sort();
    for (const store of Object.values(stores)) expect(recordsIn(store)).toEqual(stays);
    const again = lastJson((await runBkp(['prune', '--json'], run)).stdout)['records'];
    expect(again).toMatchObject({ sets: [], drills: [], kits: [] });
    expect((await runBkp(['list', 'full-dr'], run)).stdout).toMatch(new RegExp(`${made['now']}.* complete`));
  });
});
