import { BkpError } from './errors.ts';

const SEGMENT = /^[A-Za-z0-9._+=@-]+$/;

/** Passes a key of `/`-separated plain names through; refuses `..`, empty and hidden-temp names. Throws BkpError('usage'). */
export function checkKey(key: string): string {
  const parts = key.split('/');
  const bad = parts.find(part => !SEGMENT.test(part) || part === '.' || part === '..' || part.startsWith('.tmp-'));
  if (bad !== undefined || key.length > 900)
    throw new BkpError('usage', `"${key}" cannot be the key of an object: only letters, digits and . _ + = @ - between single slashes`);
  return key;
}

/** Joins the parts of a key, whatever slashes they begin or end with: "/a/b", "a/b/" and "a//b" are the same prefix. */
export const joinKey = (...parts: readonly string[]): string =>
  checkKey(
    parts
      .flatMap(part => part.split('/'))
      .filter(part => part !== '')
      .join('/'),
  );

/** `<prefix>/<env>` out of `<prefix>/<env>/<kind>/<name>`. */
export const environmentBase = (base: string): string => joinKey(...base.split('/').slice(0, -2));

/**
 * Key prefix of what an environment keeps about the whole stack: `<prefix>/<env>/<section>`.
 * @param base `<prefix>/<env>/<kind>/<name>` of any of its targets
 */
export const environmentSection = (base: string, section: 'sets' | 'drills' | 'kits'): string => joinKey(environmentBase(base), section);

/**
 * Key prefix of what an environment keeps about a target beside its backups: `<prefix>/<env>/<section>/<kind>/<name>`.
 * @param base `<prefix>/<env>/<kind>/<name>`
 */
export function sectionOf(base: string, section: 'holds' | 'leases' | 'pins' | 'proofs' | 'runs'): string {
  const parts = base.split('/');
  return joinKey(...parts.slice(0, -2), section, ...parts.slice(-2));
}
