import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BkpOptions, type Ended, makeConfig, type Redis, runBkp, tempDir } from './rig/index.ts';
import { stub } from './stub.ts';

/** A server with a config, keys and one directory store. */
export interface RedisSetup {
  run: Required<Pick<BkpOptions, 'config' | 'env'>>;
  store: string;
  keys: Record<string, unknown>;
  /** Runs bkp with this config. */
  bkp(...args: string[]): Promise<Ended>;
}

/** Writes the config; `like` shares store and keys with another one. */
export async function setUpRedis(
  server: Redis,
  options: { like?: RedisSetup; entry?: Record<string, unknown>; env?: Record<string, string> } = {},
): Promise<RedisSetup> {
  const store = options.like?.store ?? tempDir();
  const config = await makeConfig({
    stores: { local: store },
    redis: { app: server.entry(options.entry) },
    ...(options.like ? { keys: options.like.keys } : {}),
  });
  const run = { config: config.path, env: options.env ?? {} };
  return { run, store, keys: config.keys, bkp: (...args) => runBkp(args, run) };
}

/** Runs bkp and wants it to end with 0. @returns its last JSON line */
export async function done(at: RedisSetup, ...args: string[]): Promise<Record<string, any>> {
  const { code, stdout, stderr } = await at.bkp(...args, '--json');
  if (code !== 0) throw new Error(`bkp ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}

/** Takes a backup and returns its id. */
export async function aRedisBackup(at: RedisSetup, ...args: string[]): Promise<string> {
  const { backups } = await done(at, 'backup', 'redis', 'app', ...args);
  return backups[0].id;
}

/** A path that does not exist yet. */
export const aDir = (): string => join(tempDir(), 'restored');

/** Fills a server: keys of every type in two databases, times to live, a function library. */
export async function fill(server: Redis, keys = 500): Promise<void> {
  await server.cli('FUNCTION', 'LOAD', 'REPLACE', "#!lua name=lib\nredis.register_function('fn', function() return 'works' end)");
  await server.cli('DEBUG', 'POPULATE', String(keys), 'key', '50');
  const script = `
    for i = 1, 600 do
      redis.call('sadd', 'set', 'm' .. i) redis.call('zadd', 'zset', i / 3, 'm' .. i)
      redis.call('hset', 'hash', 'f' .. i, string.rep('v', i % 90)) redis.call('rpush', 'list', string.rep('ab', i))
      redis.call('xadd', 'stream', '*', 'f', i)
    end
    redis.call('xgroup', 'create', 'stream', 'group', '0')
    redis.call('xreadgroup', 'group', 'group', 'reader', 'count', '9', 'streams', 'stream', '>')
    redis.call('zadd', 'bounds', '+inf', 'a', '-inf', 'b') redis.call('sadd', 'ints', 1, 2, 70000)
    redis.call('set', 'number', 12345) redis.call('set', 'packed', string.rep('a', 5000)) redis.call('pfadd', 'hll', 'a')
    redis.call('setex', 'kept', 86400, 'v')
    return 1`;
  await server.cli('EVAL', script, '0');
  await server.cli('-n', '5', 'SET', 'other', 'database');
}

/** Keys by database, as INFO tells them. */
export const keyspaceOf = async (server: Redis): Promise<string> =>
  (await server.cli('INFO', 'keyspace'))
    .split('\n')
    .flatMap(line => /^(db\d+:keys=\d+)/.exec(line)?.[1] ?? [])
    .join(' ');

/** What the data of a server come to: the same for the same data, whatever restarts lie between. */
export const digestOf = (server: Redis): Promise<string> => server.cli('DEBUG', 'DIGEST');

/** Manifests in the store, oldest first; their signatures are not looked at. */
export function manifestsOf(at: RedisSetup): Record<string, any>[] {
  const root = join(at.store, 'bkp/production/redis/app/backups');
  const ids = existsSync(root) ? readdirSync(root).sort() : [];
  const files = ids.map(id => join(root, id, 'manifest.json')).filter(path => existsSync(path));
  return files.map(path => JSON.parse(readFileSync(path, 'utf8').split('\n')[0]!));
}

/** An ssh that leads to this very host: the words after the host go to a shell, as sshd does it. */
export const sshHere = (): string =>
  stub(
    'ssh',
    `const { spawn } = process.getBuiltinModule('node:child_process');
const words = process.argv.slice(process.argv.indexOf('--') + 2);
const child = spawn('sh', ['-c', words.join(' ')], { stdio: 'inherit' });
child.on('close', code => process.exit(code ?? 255));`,
  );
