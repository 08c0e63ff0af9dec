import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { agePair } from '../ops/rig.ts';
import { changed, lastJson, type Yaml } from './change.ts';
import { aKit, BY_VARIABLE, checkHere, forKey, PASSPHRASE } from './kitSetup.ts';
import { cleanUp, makeConfig, runBkp, startRedis, tempDir } from './rig/index.ts';
import { movedAway, rewritten } from './rig/undo.ts';
import type { Setup } from './setup.ts';
import { filesIn } from './stub.ts';

afterAll(cleanUp);

const stores = { local: tempDir(), offsite: tempDir() };
let at: Pick<Setup, 'run'>;
let secrets: string[];

const recordsIn = (store: string, did: string): string[] =>
  filesIn(store)
    .filter(path => path.includes(`/kits/${did}/`))
    .sort();
const textOf = (store: string, path: string): string => readFileSync(join(store, path), 'utf8');

/** The environment of the config, changed. */
const other = (edit: (production: Yaml, config: Yaml) => void) =>
  changed(at as Setup, config => edit(config['environments'].production, config));

async function status(run = at.run): Promise<{ code: number | null; kit: Yaml }> {
  const { code, stdout } = await runBkp(['status', '--json'], run);
  return { code, kit: lastJson(stdout)['kit'] };
}

/** What doctor says of the kit. */
async function doctor(run = at.run): Promise<Yaml> {
  const { stdout } = await runBkp(['doctor', '--json'], run);
  return lastJson(stdout)['checks'].find(({ name }: Yaml) => name === 'kit');
}

beforeAll(async () => {
  const redis = await startRedis();
  const config = await makeConfig({ stores, redis: { cache: redis.entry({}) } });
  at = { run: { config: config.path, env: { KIT_PASSPHRASE: PASSPHRASE } } };
  secrets = ['identity.txt', 'signing.key'].map(name => readFileSync(join(config.keysDir, name), 'utf8').trim());
  const backup = await runBkp(['backup'], at.run);
  expect({ code: backup.code, stderr: backup.stderr }).toMatchObject({ code: 0 });
});

describe('a kit on record', () => {
  it('before the first one status and doctor say so; status is red only where the config asks', async () => {
    const never = { text: 'a kit was never exported' };
    expect(await status()).toMatchObject({ code: 0, kit: { state: 'ok', why: [never] } });
    expect((await runBkp(['status'], at.run)).stdout).toMatch(/^note +kit: a kit was never exported$/m);
    expect(await doctor()).toMatchObject({ state: 'warn', text: never.text, mend: expect.stringContaining('bkp kit export') });
    const asking = other(production => {
      production['kit'] = { every: '90d' };
    });
    expect(await status(asking)).toMatchObject({ code: 10, kit: { state: 'late', everySeconds: 7_776_000 } });
    const figures = join(tempDir(), 'bkp.prom');
    await runBkp(['status', '--textfile', figures], asking);
    expect(readFileSync(figures, 'utf8')).toMatch(/^bkp_kit_late\{env="production"\} 1$/m);
  });

  it('every store has it, signed, with names and without a secret or where the kit is', async () => {
    const kit = await aKit(at.run, BY_VARIABLE);
    for (const store of Object.values(stores)) {
      const [path] = recordsIn(store, 'exported');
      const text = textOf(store, path!);
      expect(JSON.parse(text.split('\n')[0]!)).toMatchObject({
        did: 'exported',
        env: 'production',
        seal: { by: 'passphrase', count: 1 },
        covers: { targets: ['redis/cache'], stores: ['local', 'offsite'], recipients: [expect.stringMatching(/^age1/)] },
      });
      for (const hidden of [...secrets, PASSPHRASE, kit]) expect(text).not.toContain(hidden);
    }
    const { code, kit: seen } = await status();
    expect({ code, seen }).toEqual({
      code: 0,
      seen: { state: 'ok', why: [], exported: { kit: expect.any(String), at: expect.any(String), seal: { by: 'passphrase', count: 1 } } },
    });
    expect(await doctor()).toMatchObject({ state: 'ok', text: expect.stringMatching(/^exported .*, never checked$/) });
    expect((await runBkp(['status'], at.run)).stdout).toMatch(/^last kit: .* with a passphrase .*; never checked$/m);
  });

  it('so does how a check of it ended, by the keys of the host; a bad end takes the place of no good one', async () => {
    const kit = await aKit(at.run);
    const good = await checkHere(at.run, kit);
    expect({ code: good.code, stdout: good.stdout }).toMatchObject({ code: 0 });
    const proven = (await status()).kit['proven'];
    expect(proven).toMatchObject({ kit: expect.any(String), deep: false });
    const newer = other((_, config) => {
      config['keys'].recipients.push(agePair().recipient);
    });
    expect((await checkHere(newer, kit)).code).toBe(10);
    for (const store of Object.values(stores))
      expect([recordsIn(store, 'proven').length, recordsIn(store, 'failed').length]).toEqual([1, 1]);
    const { kit: told } = await status();
    const why = [
      { state: 'ok', text: expect.stringMatching(/^the last check, .* ago, did not find kit .* good: bkp kit check says why$/) },
    ];
    expect(told).toMatchObject({ state: 'ok', proven, failed: { kit: proven.kit }, why });
    expect((await checkHere(at.run, kit)).code).toBe(0);
    expect((await status()).kit).not.toHaveProperty('failed');
  });

  it('is older than a key that was added, or than a store, and that is a warning', async () => {
    const { recipient } = agePair();
    const newer = other((production, config) => {
      config['keys'].recipients.push(recipient);
      production['kit'] = { every: '90d' };
    });
    const text = `the newest kit is older than a key that was added: recipient ${recipient}`;
    expect(await doctor(newer)).toMatchObject({ state: 'warn', text });
    expect(await status(newer)).toMatchObject({ code: 10, kit: { state: 'late', why: [{ state: 'late', text }] } });
    const wider = other(production => {
      production['stores'].more = { type: 'directory', path: tempDir() };
      production['redis'].cache.stores = ['local', 'offsite'];
    });
    expect(await doctor(wider)).toMatchObject({
      state: 'warn',
      text: expect.stringMatching(/older than the config, and lacks store more$/),
    });
    const later = other(production => {
      production['redis'].cache.schedule = '5 * * * *';
    });
    expect((await status(later)).kit['why']).toEqual([]);
  });

  it('that was changed in a store is passed over, and what the other one says counts', async () => {
    const path = recordsIn(stores.local, 'exported').at(-1)!;
    const { exported } = (await status()).kit;
    rewritten(join(stores.local, path), bytes => bytes.toString().replace('"did":"exported"', '"did":"exported" '));
    const { stdout } = await runBkp(['status', '--json'], at.run);
    expect(stdout).toContain('the record of a kit is passed over');
    expect(lastJson(stdout)['kit'].exported).toEqual(exported);
  });

  it('a store that does not answer makes it partial and is named; the kit itself is written, and works', async () => {
    const before = recordsIn(stores.local, 'exported').length;
    const mend = movedAway(stores.offsite);
    const out = join(tempDir(), 'kit.age');
    const { code, stdout } = await runBkp(['kit', 'export', '--out', out, ...forKey], at.run);
    mend();
    expect({ code, there: existsSync(out) }).toEqual({ code: 3, there: true });
    expect(stdout).toMatch(/^on record in local$/m);
    expect(stdout).toMatch(/^the kit is whole; NOT on record in offsite$/m);
    expect(recordsIn(stores.local, 'exported')).toHaveLength(before + 1);
    expect((await checkHere(at.run, out)).code).toBe(0);
  });

  it('a host that cannot sign makes one all the same, and says that nobody will know of it', async () => {
    const before = recordsIn(stores.local, 'exported').length;
    const unsigned = other((_, config) => {
      delete config['keys'].signing;
    });
    const made = await runBkp(['kit', 'export', '--out', join(tempDir(), 'kit.age'), ...forKey], unsigned);
    expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining('this kit is recorded in no store') });
    expect(recordsIn(stores.local, 'exported')).toHaveLength(before);
  });
});
