import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BkpError, sentence } from '../../core/errors.ts';
import type { Rendered } from '../../core/reportMaterial.ts';
import { makeDir } from '../../flow/makeDir.ts';
import { writeWhole } from '../status/textfile.ts';

/** By it a directory is known as one that bkp made. */
const MARK = '.bkp-report';
const LATEST = 'latest.json';

/** Makes the directory or looks whether it is ours. */
async function claim(dir: string, force: boolean): Promise<void> {
  let names: string[];
  try {
    await makeDir(dir, 0o700);
    names = await readdir(dir);
  } catch (error) {
    throw new BkpError('failed', `the report cannot be written to ${dir}: ${sentence(error)}`, { cause: error });
  }
  if (names.length === 0 || names.includes(MARK) || force) return;
  throw new BkpError('refused', `${dir} is not empty and no report of bkp's: nothing was written`, {
    next: ['--out with a directory that is not there yet', 'or --force: files of the same names are replaced, others stay'],
  });
}

/**
 * Writes a report into a directory (mode 700, files 600): `index.html`, `latest.md`, `junit.xml`, `drills.json`, and `latest.json`, the signed
 * record of the newest drill (without `signed` an older one goes). Each file is there whole or not at all; what else is in the directory stays.
 * @param dir is made where it is not there
 * @param options `signed` as it lies in the stores; `force` takes a directory that bkp did not make
 * @returns the paths that were written
 * @throws BkpError('refused') for a directory with other things in it, 'failed' when it cannot be written
 */
export async function writeReport(
  dir: string,
  rendered: Rendered,
  options: { signed?: Buffer | undefined; force?: boolean } = {},
): Promise<string[]> {
  await claim(dir, options.force ?? false);
  const files: [string, string | Uint8Array][] = [
    [MARK, 'Made by `bkp report`, which writes into this directory again.\n'],
    ['drills.json', rendered.json],
    ['junit.xml', rendered.junit],
    ['latest.md', rendered.markdown],
    ...(options.signed ? [[LATEST, options.signed] satisfies [string, Uint8Array]] : []),
    ['index.html', rendered.html],
  ];
  if (!options.signed) await rm(join(dir, LATEST), { force: true });
  for (const [name, text] of files) await writeWhole(join(dir, name), text, { mode: 0o600, what: 'the report' });
  return files.slice(1).map(([name]) => join(dir, name));
}
