import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, makeConfig, runBkp, tempDir } from '../real/rig/index.ts';

afterAll(cleanUp);

const ENGINES = {
  native: { engine: 'native' },
  'wal-g': { engine: 'wal-g', walg: { pgpKeyPath: '/nowhere/walg.asc' } },
};

describe.each(Object.entries(ENGINES))('a target time in engine %s, in a config of Europe/Berlin', (_, entry) => {
  let config: string;

  const restore = (time: string, TZ: string) =>
    runBkp(['restore', 'postgres', 'app', '--target-time', time, '--to', join(tempDir(), 'to'), '--dry-run'], { config, env: { TZ } });

  beforeAll(async () => {
    const local = join(tempDir(), 'local');
    mkdirSync(local);
    config = (
      await makeConfig({
        stores: { local },
        postgres: { app: { ...entry, host: '127.0.0.1', port: 1 } },
        top: { timezone: 'Europe/Berlin' },
      })
    ).path;
  });

  it.each(['UTC', 'Europe/Moscow', 'America/New_York'])('is read alike on a host of TZ=%s', async TZ => {
    const naive = await restore('2026-01-15 14:30:00', TZ);
    expect(naive.stderr).toContain('2026-01-15 14:30:00 read in Europe/Berlin is 2026-01-15T13:30:00.000Z');
    expect(naive.code).toBe(6);
    const skipped = await restore('2026-03-29 02:30:00', TZ);
    expect({ code: skipped.code, said: skipped.stderr }).toEqual({
      code: 2,
      said: expect.stringContaining('clocks in Europe/Berlin skipped it'),
    });
    const twice = await restore('2026-10-25 02:30:00', TZ);
    expect(twice.code).toBe(2);
    expect(twice.stderr).toMatch(/showed it twice, as 2026-10-25T00:30:00\.000Z and 2026-10-25T01:30:00\.000Z/);
    const given = await restore('2026-10-25 02:30:00+01', TZ);
    expect(given.stderr).toContain('2026-10-25T01:30:00.000Z');
    expect(given.code).toBe(6);
  });
});
