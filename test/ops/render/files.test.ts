import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { marked, writeFiles } from '../../../src/ops/render/files.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-render-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const at = (path: string): string => readFileSync(join(dir, path), 'utf8');
const a = (text: string) => ({ path: 'a.yaml', text });

describe('files that are rendered', () => {
  it('are written with a mark, and written over as long as nobody changed them', async () => {
    expect(await writeFiles(dir, [a('one: 1\n'), { path: 'deep/b.service', text: 'b\n' }], false)).toEqual([]);
    expect(at('a.yaml')).toMatch(/^# written by bkp render; sha256 [0-9a-f]{64}\none: 1\n$/);
    await writeFiles(dir, [a('two: 2\n')], false);
    expect(at('a.yaml')).toBe(marked('two: 2\n'));
    expect(readdirSync(dir).sort()).toEqual(['a.yaml', 'deep']);
  });

  it.each([
    ['changed by hand', () => `${marked('one: 1\n')}more: 1\n`],
    ["somebody else's", () => 'mine: 1\n'],
  ])('a file that is %s stays, and nothing else is written either', async (_, text) => {
    writeFileSync(join(dir, 'a.yaml'), text());
    await expect(writeFiles(dir, [{ path: 'first.yaml', text: 'x\n' }, a('two: 2\n')], false)).rejects.toMatchObject({
      exit: 'refused',
      message: expect.stringContaining('a.yaml: not written by bkp render, or changed since'),
    });
    expect(at('a.yaml')).toBe(text());
    expect(readdirSync(dir)).toEqual(['a.yaml']);
    await writeFiles(dir, [a('two: 2\n')], true);
    expect(at('a.yaml')).toBe(marked('two: 2\n'));
  });

  it('what a person fills in is written once; a key that it lacks later is told', async () => {
    const shape = (...keys: string[]) => ({
      path: 's.yaml',
      text: `spec: { encryptedData: { ${keys.map(key => `${key}: FILL`).join(', ')} } }\n`,
      yours: true as const,
    });
    await writeFiles(dir, [shape('A')], false);
    writeFileSync(join(dir, 's.yaml'), at('s.yaml').replace('FILL', 'AgBy3i4OJSWK'));
    expect(await writeFiles(dir, [shape('A', 'B')], true)).toEqual([`${join(dir, 's.yaml')} stays as it is, and lacks B`]);
    expect(at('s.yaml')).toContain('AgBy3i4OJSWK');
  });

  it('a file of an earlier run that is no longer rendered is told, and stays', async () => {
    await writeFiles(dir, [a('one: 1\n'), { path: 'old.yaml', text: 'x\n' }], false);
    writeFileSync(join(dir, 'mine.yaml'), 'x\n');
    expect(await writeFiles(dir, [a('one: 1\n')], false)).toEqual([expect.stringMatching(/old\.yaml is of an earlier run/)]);
    expect(readdirSync(dir).sort()).toEqual(['a.yaml', 'mine.yaml', 'old.yaml']);
  });
});
