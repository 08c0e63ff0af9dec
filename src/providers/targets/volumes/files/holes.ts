import type { Sparse } from './baseline.ts';

/** Holes that are smaller are not worth a word. */
const HOLE = 1024 * 1024;
const KEPT = 500;

/** Gathers files with holes, and keeps those with the largest ones. */
export function gatherHoles(): { add(path: () => string, bytes: number, allocated: number): void; largest(): Sparse[] } {
  const found: Sparse[] = [];
  return {
    add(path, bytes, allocated) {
      if (bytes - allocated >= HOLE) found.push({ path: path(), bytes, allocated });
    },
    largest: () => found.sort((a, b) => b.bytes - b.allocated - (a.bytes - a.allocated)).slice(0, KEPT),
  };
}
