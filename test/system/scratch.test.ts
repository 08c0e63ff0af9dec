import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { makeScratch, sweepScratch } from '../../src/system/scratch.ts';
import { start } from '../real/rig/child.ts';
import { node24, root as project } from '../real/rig/places.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bkp-sweep-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A process that makes a directory of its own, and then waits to be killed. */
async function another(): Promise<{ dir: string; kill(): Promise<unknown> }> {
  const module = join(project, 'src/system/scratch.ts');
  const script = `const { makeScratch } = await import(${JSON.stringify(module)}); console.log((await makeScratch(${JSON.stringify(root)})).dir); setInterval(() => {}, 1000);`;
  const child = start(node24(), ['--no-warnings', '--input-type=module', '-e', script]);
  for (let tries = 0; !child.output().stdout.endsWith('\n'); tries += 1) {
    if (tries > 500) throw new Error(child.output().stderr);
    await new Promise(done => setTimeout(done, 20));
  }
  const dir = child.output().stdout.trim();
  return {
    dir,
    kill() {
      child.kill('SIGKILL');
      return child.ended;
    },
  };
}

describe('temporary files of a bkp that was killed', () => {
  it('are removed by the next one, with what is in them, and not before their process is gone', async () => {
    const { dir, kill } = await another();
    mkdirSync(join(dir, 'deep'));
    writeFileSync(join(dir, 'deep/snapshot.db'), 'x');
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(await sweepScratch(root)).toBe(0);
    expect(existsSync(join(dir, 'deep/snapshot.db'))).toBe(true);
    await kill();
    expect(await sweepScratch(root)).toBe(1);
    expect(readdirSync(root)).toEqual([]);
  });

  it('stay when they are its own', async () => {
    const { dir } = await makeScratch(root);
    expect(await sweepScratch(root)).toBe(0);
    expect(existsSync(dir)).toBe(true);
  });

  it('are removed where another process has the number by now', async () => {
    const mine = (await makeScratch(root)).whole;
    const was = mine.replace(/-\d+-\w{6}$/, '-1-abcdef');
    mkdirSync(was);
    expect(await sweepScratch(root)).toBe(1);
    expect(readdirSync(root)).toEqual([mine.slice(root.length + 1)]);
  });

  it('stay where nobody here can tell: another host, another boot, another name', async () => {
    const name = (await makeScratch(root)).whole.slice(root.length + 1);
    rmSync(join(root, name), { recursive: true });
    const [, whose, pid] = name.split('-');
    const gone = `${whose}-${Number(pid)}-1-abcdef`;
    const other = [`bkp-00000000-${pid}-1-abcdef`, `bkp-rig-${gone}`, `bkp-${gone}x`, 'bkp-abcdef', 'bkp-pg-abcdef'];
    for (const each of other) mkdirSync(join(root, each));
    // A file and a link have that name, too, and what the link leads to is somebody's.
    writeFileSync(join(root, `bkp-${whose}-${Number(pid)}-2-abcdef`), 'x');
    symlinkSync(join(root, 'bkp-abcdef'), join(root, `bkp-${whose}-${Number(pid)}-3-abcdef`));
    const before = readdirSync(root).sort();
    expect(await sweepScratch(root)).toBe(0);
    expect(readdirSync(root).sort()).toEqual(before);
  });
});
