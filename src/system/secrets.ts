import { existsSync, readFileSync } from 'node:fs';
import { findConfig } from '../core/config/find.ts';
import type { SecretSource } from '../core/config/secrets.ts';
import { BkpError } from '../core/errors.ts';

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
    throw new BkpError('usage', `the config ${file} cannot be read: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}
