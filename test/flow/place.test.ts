import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Clock } from '../../src/core/contracts.ts';
import { INCOMPLETE, inspect, occupy } from '../../src/flow/place.ts';

const ctx = { clock: { now: () => new Date('2026-01-15T14:30:00Z') } as Clock };

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-place-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('a place that is a link to a directory', () => {
  it('stays one when what is there is moved aside: what comes back lies on the disk to which it leads', async () => {
    const [real, link] = [join(dir, 'disk/real'), join(dir, 'link')];
    mkdirSync(real, { recursive: true });
    writeFileSync(join(real, 'mine'), 'mine');
    symlinkSync(real, link);
    const moved = await occupy(ctx, link, true, undefined);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readdirSync(real)).toEqual([basename(INCOMPLETE)]);
    expect(moved).toBe(`${real}.before-20260115T143000Z`);
    expect(existsSync(join(moved!, 'mine'))).toBe(true);
  });
});

describe('a place that is not fit', () => {
  const refused = (to: string, force = true) => inspect(to, force, async () => undefined).catch((error: Error) => error.message);

  it('is a directory of the host itself, also by another name and where forced', async () => {
    const link = join(dir, 'by-link');
    symlinkSync('/usr', link);
    for (const to of ['/', '/etc', '/usr/', link]) expect(await refused(to)).toMatch(/is not moved aside, whatever is forced/);
  });

  it('is one in which the program that runs or its temporary files lie', async () => {
    expect(await refused(dirname(process.execPath))).toMatch(/the program that runs bkp lies in it/);
    // The program lies there too, where these tests do.
    expect(await refused(tmpdir())).toMatch(/lies in it/);
    expect(await inspect(dir, true, async () => undefined)).toBe(true);
  });

  it('is a file, or lies below one', async () => {
    const file = join(dir, 'file');
    writeFileSync(file, '');
    for (const to of [file, join(file, 'below')])
      expect(await refused(to)).toMatch(/a file is there, or where a directory above it should be/);
  });
});
