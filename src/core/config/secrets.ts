import { BkpError } from '../errors.ts';

/** Where values come from: the environment, and files. */
export interface SecretSource {
  env: Readonly<Record<string, string | undefined>>;
  /** The file's text. Throws when it cannot be read. */
  readFile(path: string): string;
}

/** `$${` is a literal `${`; `${NAME}` and `${file:/path}` are replaced; nothing else is looked at. */
const REFERENCE = /\$\$\{|\$\{(file:)?([^}]*)\}/g;

export const hasReference = (text: string): boolean => text.search(REFERENCE) >= 0;

function valueOf(isFile: boolean, name: string, path: string, source: SecretSource): string {
  if (isFile) {
    try {
      return source.readFile(name).replace(/\r?\n$/, '');
    } catch (error) {
      throw new BkpError('usage', `${path}: the file ${name} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }
  const value = source.env[name];
  if (value === undefined) throw new BkpError('usage', `${path}: the variable ${name} is not set`, { next: `export ${name}=…` });
  return value;
}

const expand = (text: string, path: string, source: SecretSource): string =>
  text.replace(REFERENCE, (all, file: string | undefined, name: string) =>
    all === '$${' ? '${' : valueOf(file !== undefined, name, path, source),
  );

/**
 * A copy of any part of a config with its references replaced, byte for byte; one trailing newline of a file is trimmed.
 * @param path of the part, for errors
 * @throws BkpError('usage') naming the setting and the variable or file
 */
export function resolveSecrets<T>(part: T, path: string, source: SecretSource): T {
  if (typeof part === 'string') return expand(part, path, source) as T;
  if (Array.isArray(part)) return part.map((each, n) => resolveSecrets(each, `${path}.${n}`, source)) as T;
  if (typeof part !== 'object' || part === null) return part;
  return Object.fromEntries(Object.entries(part).map(([key, each]) => [key, resolveSecrets(each, `${path}.${key}`, source)])) as T;
}

/** Every string of a config that has a reference, with its path. */
export function referencesIn(part: unknown, path = ''): { path: string; text: string }[] {
  if (typeof part === 'string') return hasReference(part) ? [{ path, text: part }] : [];
  if (typeof part !== 'object' || part === null) return [];
  return Object.entries(part).flatMap(([key, each]) => referencesIn(each, path ? `${path}.${key}` : key));
}

const SECRET_SETTING = /password|passphrase|secret|token|identity|signing|accesskey/i;

/** A copy with every literal secret hidden; references stay readable, they give nothing away. */
export function withoutSecrets<T>(part: T, setting = ''): T {
  if (typeof part === 'string') return (SECRET_SETTING.test(setting) && !hasReference(part) ? '[redacted]' : part) as T;
  if (Array.isArray(part)) return part.map(each => withoutSecrets(each, setting)) as T;
  if (typeof part !== 'object' || part === null) return part;
  return Object.fromEntries(Object.entries(part).map(([key, each]) => [key, withoutSecrets(each, key)])) as T;
}

/** Collects secret values and takes them out of every text that leaves. Values under four characters would redact ordinary words. */
export class Redactor {
  readonly #values = new Set<string>();

  add(value: string): void {
    for (const each of [value, ...value.split('\n')]) if (each.trim().length >= 4) this.#values.add(each);
  }

  /** Adds what a resolved part holds where the part as written had a reference or a secret's name. */
  learn(written: unknown, resolved: unknown, setting = ''): void {
    if (typeof resolved === 'string') {
      if (SECRET_SETTING.test(setting) || (typeof written === 'string' && written.includes('${file:'))) this.add(resolved);
    } else if (typeof resolved === 'object' && resolved !== null) {
      for (const [key, each] of Object.entries(resolved)) this.learn((written as Record<string, unknown>)?.[key], each, key);
    }
  }

  redact(text: string): string {
    let out = text;
    for (const value of [...this.#values].sort((a, b) => b.length - a.length))
      out = out.replaceAll(value, '[redacted]').replaceAll(JSON.stringify(value).slice(1, -1), '[redacted]');
    return out;
  }
}
