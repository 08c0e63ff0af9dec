import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** What becomes of a file that counts; `other` is an older one of the same kind. */
export type Harm = (path: string, other: string) => void;

/** Everything that may happen to an object in a store, by the words of a test's name. */
export const HARMS: Readonly<Record<string, Harm>> = {
  'with a bit that flipped': path => {
    const bytes = readFileSync(path);
    bytes[Math.floor(bytes.length / 2)]! ^= 0x10;
    writeFileSync(path, bytes);
  },
  'that was cut': path => {
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.subarray(0, Math.floor(bytes.length / 2)));
  },
  'exchanged with another': (path, other) => {
    renameSync(path, `${path}.x`);
    renameSync(other, path);
    renameSync(`${path}.x`, other);
  },
  'that is an older one': (path, other) => copyFileSync(other, path),
  'that is gone': path => rmSync(path),
};

/** Does harm for the time of a piece of work: whatever comes of it, both files are afterwards what they were. */
export async function harmed<T>(harm: Harm, path: string, other: string, work: () => Promise<T>): Promise<T> {
  const before = [path, other].map(each => [each, readFileSync(each)] as const);
  harm(path, other);
  try {
    return await work();
  } finally {
    for (const [each, bytes] of before) writeFileSync(each, bytes);
  }
}
