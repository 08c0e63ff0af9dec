import { createHash } from 'node:crypto';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { BkpError } from '../../core/errors.ts';
import type { MadeFile } from '../../core/render/kubernetes/text.ts';
import { makeDir } from '../../flow/makeDir.ts';

/** SHA-256 of a text, hex. */
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const MARK = /^# written by bkp render; sha256 ([0-9a-f]{64})\n/;

/** The text with a first line by which its file is known again, as long as nobody changed it. */
export const marked = (text: string): string => `# written by bkp render; sha256 ${sha256(text)}\n${text}`;

/** Whether a file is as bkp wrote it. */
const isOurs = (text: string): boolean => {
  const [line, hash] = MARK.exec(text) ?? [];
  return line !== undefined && sha256(text.slice(line.length)) === hash;
};

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function put(path: string, text: string): Promise<void> {
  await makeDir(dirname(path));
  const temp = `${path}.new-${process.pid}`;
  await writeFile(temp, text, { mode: 0o644 });
  await rename(temp, path);
}

/** Keys of a SealedSecret that an operator filled in, or of one that is still to be. */
const keysOf = (text: string): string[] => Object.keys((parse(text) as any)?.spec?.encryptedData ?? {});

function stillMissing(path: string, text: string, there: string): string[] {
  const has = keysOf(there);
  const lacks = keysOf(text).filter(key => !has.includes(key));
  return lacks.length === 0 ? [] : [`${path} stays as it is, and lacks ${lacks.join(', ')}`];
}

/** Files in the directories that were written to, bkp's own by their mark, that are no longer rendered. */
async function leftOver(dir: string, files: readonly MadeFile[]): Promise<string[]> {
  const wanted = new Set(files.map(({ path }) => join(dir, path)));
  const dirs = [...new Set(files.map(({ path }) => dirname(join(dir, path))))];
  const there = (await Promise.all(dirs.map(async each => (await readdir(each)).map(name => join(each, name))))).flat();
  const old: string[] = [];
  for (const path of there.filter(each => !wanted.has(each) && /\.(yaml|service|timer|conf)$/.test(each)))
    if (MARK.test((await textOf(path)) ?? '')) old.push(path);
  return old.map(path => `${path} is of an earlier run and no longer rendered: remove it, and what was made from it`);
}

/**
 * Writes files under a directory. One that bkp wrote before and nobody changed is replaced; any other stays, unless forced. What is a
 * person's to fill in is written once and then left alone.
 * @returns what the person has to know
 * @throws BkpError('refused') naming every file that is somebody else's; then nothing is written
 */
export async function writeFiles(dir: string, files: readonly MadeFile[], force: boolean): Promise<string[]> {
  const notes: string[] = [];
  const write: MadeFile[] = [];
  const foreign: string[] = [];
  for (const file of files) {
    const path = join(dir, file.path);
    const there = await textOf(path);
    if (there !== undefined && file.yours) notes.push(...stillMissing(path, file.text, there));
    else if (there === undefined || isOurs(there) || force) write.push(file);
    else foreign.push(path);
  }
  if (foreign.length > 0)
    throw new BkpError('refused', `${foreign.join(', ')}: not written by bkp render, or changed since; nothing was written`, {
      next: ['--out with another directory', '--force writes over them'],
    });
  for (const { path, text, yours } of write) await put(join(dir, path), yours ? text : marked(text));
  return [...notes, ...(await leftOver(dir, files))];
}
