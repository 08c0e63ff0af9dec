import { BkpError } from '../../../core/errors.ts';
import { explained, outputOf } from './errors.ts';
import type { Tools } from './tools.ts';

/** Last line of samba-tool dbcheck (4.17). It ends with 1 when it found errors. */
const SUMMARY = /Checked (\d+) objects \((\d+) errors?\)/;

/** How many objects were looked at, how many errors were found, and the first of them. */
export interface Checked {
  objects: number;
  errors: number;
  first: string | undefined;
}

/** Reads what dbcheck said; undefined when it did not come to its end. */
export function readDbcheck(output: string): Checked | undefined {
  const [, objects, errors] = SUMMARY.exec(output) ?? [];
  if (objects === undefined) return undefined;
  const first = output.split('\n').find(line => /^(?:ERROR|WARNING: (?!no network))/.test(line.trim()));
  return { objects: Number(objects), errors: Number(errors), first: first?.trim() };
}

/**
 * Checks a database by its files, over all partitions. Changes nothing.
 * @param conf options that name its smb.conf
 * @throws BkpError('failed') when it did not come to its end
 */
export async function dbcheck(tools: Tools, conf: readonly string[], options: { dir: string; timeoutMs: number }): Promise<Checked> {
  const command = { file: tools.path, args: ['dbcheck', '--cross-ncs', ...conf], env: { TMPDIR: options.dir } };
  const output = await tools.site
    .text(command, { timeoutMs: options.timeoutMs })
    .then(({ stdout, stderr }) => `${stdout}\n${stderr}`)
    .catch(error => {
      if (readDbcheck(outputOf(error)) === undefined) throw explained('dbcheck', error, 'files');
      return outputOf(error);
    });
  const checked = readDbcheck(output);
  if (checked) return checked;
  throw new BkpError('failed', 'dbcheck ended without saying what it had found', { next: 'samba-tool dbcheck --cross-ncs' });
}
