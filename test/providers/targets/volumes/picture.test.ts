import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Context } from '../../../../src/providers/targets/volumes/files/context.ts';
import { pictureOf, stateOf } from '../../../../src/providers/targets/volumes/files/picture.ts';
import { systemRunner } from '../../../../src/system/runner.ts';
import { cleanUp, tempDir } from '../../../real/rig/index.ts';

afterAll(cleanUp);

const ctx = { run: systemRunner, signal: new AbortController().signal } as Context;
let dir: string;
const walk = () => ({ paths: [join(dir, 'data')], root: '/', oneFileSystem: true });
const at = (name: string): string => join(dir, 'data', name);

beforeEach(() => {
  dir = tempDir();
  mkdirSync(at('deep/er'), { recursive: true });
  writeFileSync(at('file'), 'some bytes');
  writeFileSync(at('deep/er/line\nbreak'), 'x');
  execFileSync('sh', ['-c', 'printf x > "$(printf "latin-\\344")"; ln -s file link; mkfifo pipe'], { cwd: join(dir, 'data') });
  writeFileSync(at('holes'), '');
  truncateSync(at('holes'), 5_000_000);
});

describe('a picture of directories', () => {
  it('counts files, bytes and what they take, and knows the largest holes', async () => {
    const picture = await pictureOf(ctx, walk());
    expect(picture).toMatchObject({ files: 4, bytes: 5_000_012, sparse: [{ path: at('holes'), bytes: 5_000_000, allocated: 0 }] });
    expect(picture!.allocated).toBeLessThanOrEqual(12);
    expect(picture!.state).toBe(await stateOf(ctx, walk()));
  });

  it('is the same of a copy, with names in no encoding and in whatever order, and without sockets', async () => {
    const copy = tempDir();
    mkdirSync(join(copy, dir), { recursive: true });
    chmodSync(join(copy, '/tmp'), statSync('/tmp').mode);
    execFileSync('cp', ['-a', join(dir, 'data'), join(copy, dir)]);
    // Another order of names in the directory.
    renameSync(join(copy, at('file')), join(copy, at('z')));
    renameSync(join(copy, at('z')), join(copy, at('file')));
    const server = createServer().listen(at('socket'));
    const picture = await pictureOf(ctx, walk());
    server.close();
    const other = await pictureOf(ctx, { ...walk(), root: copy });
    expect(other).toMatchObject({ sum: picture!.sum, files: 4 });
    expect(other!.state).not.toBe(picture!.state);
  });

  const same = () => utimesSync(at('file'), 1e9, 1e9);
  it.each<[string, () => unknown]>([
    ['another mode', () => chmodSync(at('file'), 0o4711)],
    ['another owner', () => chownSync(at('deep'), 1234, 0)],
    ['another group', () => chownSync(at('file'), 0, 1234)],
    ['another size', () => [appendFileSync(at('file'), 'x'), same()]],
    ['another time', () => utimesSync(at('file'), 1e9, 1e9 + 1)],
    ['another name', () => renameSync(at('file'), at('File'))],
    ['another target of a link', () => execFileSync('ln', ['-sfn', 'elsewhere', at('link')])],
    ['another kind', () => [rmSync(at('pipe')), writeFileSync(at('pipe'), '')]],
    ['one more', () => mkdirSync(at('more'))],
    ['one less', () => rmSync(at('pipe'))],
    ['another mode above', () => chmodSync(dir, 0o711)],
  ])('is another one with %s', async (_, change) => {
    same();
    const before = await pictureOf(ctx, walk());
    change();
    const after = await pictureOf(ctx, walk());
    expect(after!.sum).not.toBe(before!.sum);
    expect(after!.state).not.toBe(before!.state);
  });

  it('shows by its state what was written to and set back', async () => {
    same();
    const before = await pictureOf(ctx, walk());
    writeFileSync(at('file'), 'byte some ');
    same();
    const after = await pictureOf(ctx, walk());
    expect(after!.sum).toBe(before!.sum);
    expect(after!.state).not.toBe(before!.state);
  });

  it('is none where not all of it can be looked at', async () => {
    expect(await pictureOf(ctx, { ...walk(), paths: [join(dir, 'nowhere')] })).toBeUndefined();
    expect(await stateOf(ctx, { ...walk(), root: join(dir, 'nowhere') })).toBeUndefined();
  });
});
