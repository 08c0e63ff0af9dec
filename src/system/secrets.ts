import { existsSync, readFileSync } from 'node:fs';
import { findConfig } from '../core/config/find.ts';
import type { SecretSource } from '../core/config/secrets.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { pasted } from '../core/shell.ts';

const utf8 = () => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text of a file byte for byte; throws when it cannot be read or is no UTF-8. */
export function readText(path: string): string {
  const bytes = readFileSync(path);
  try {
    return utf8().decode(bytes);
  } catch (cause) {
    throw new Error(`${path} is not UTF-8 text`, { cause });
  }
}

function afterUnread(file: string, cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EISDIR') return 'Name the file itself, not the directory';
  if (code === 'EACCES' || code === 'EPERM') return `Run bkp as a user who may read it, or let this one: ls -l ${pasted(file)}`;
  return 'Mend the file, or name another one with --config';
}

/**
 * Variables of this process and files of this host. Every value that is resolved lands in `seen`, which a redactor reads.
 * @param env the process's environment unless given
 */
export function secretSource(
  env: Readonly<Record<string, string | undefined>> = process.env,
  seen: Set<string> = new Set(),
): SecretSource & { seen: Set<string> } {
  return { env, readFile: readText, onSecret: value => void seen.add(value), seen };
}

/** Finds and reads the config. Throws BkpError('usage') when there is none or it cannot be read. */
export function readConfig(flag?: string, env: Readonly<Record<string, string | undefined>> = process.env): { file: string; text: string } {
  const file = findConfig({ flag, env, exists: existsSync });
  try {
    return { file, text: readText(file) };
  } catch (cause) {
    throw new BkpError('usage', `the config ${file} cannot be read: ${sentence(cause)}`, { next: afterUnread(file, cause), cause });
  }
}
