import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Clock } from '../../src/core/contracts.ts';
import { INCOMPLETE, occupy } from '../../src/flow/place.ts';

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
