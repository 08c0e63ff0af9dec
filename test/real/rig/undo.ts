import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { tempDir } from './temp.ts';

const open: (() => void)[] = [];

/** A test that failed midway leaves nothing changed for those after it. */
afterEach(() => {
  for (const undo of [...open].reverse()) undo();
});

/** Takes back what a test changed: when what this answers is called, else at the end of the test, however it ends. */
export function undoing(undo: () => void): () => void {
  const once = () => {
    const n = open.indexOf(once);
    if (n < 0) return;
    open.splice(n, 1);
    undo();
  };
  open.push(once);
  return once;
}

/** Moves a file or a directory away, out of whatever it lies in. @returns what puts it back */
export function movedAway(path: string): () => void {
  const place = join(tempDir(), 'away');
  renameSync(path, place);
  return undoing(() => renameSync(place, path));
}

/** Writes other bytes into a file. @param change gets a copy of those that it has @returns what puts them back */
export function rewritten(path: string, change: (bytes: Buffer) => Buffer | string): () => void {
  const before = readFileSync(path);
  writeFileSync(path, change(Buffer.from(before)));
  return undoing(() => writeFileSync(path, before));
}
