import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { binDir } from './places.ts';
import { daemon, endpointAt, KEYS, killAll, makeBucket, type S3Server, stoppable, untilAnswers } from './s3.ts';
import { removeTemp, tempDir } from './temp.ts';
import { freePort } from './wait.ts';

/** The program as scripts/setup.py builds it, in the cache that holds PostgreSQL 18 too. @throws naming the set-up command when it is not there */
function program(): string {
  const file = resolve(binDir('18'), '../../../../versitygw/versitygw');
  if (existsSync(file)) return file;
  throw new Error(`versitygw is not at ${file}: run \`npm run setup\``);
}

function folders(): { home: string; data: string; versions: string } {
  const home = tempDir();
  const made = { home, data: join(home, 'data'), versions: join(home, 'versions') };
  mkdirSync(made.data);
  mkdirSync(made.versions);
  return made;
}

/**
 * Starts versitygw over a temporary directory: a strict S3 server with versions, object lock, checksums and conditional writes.
 * @throws when it is not set up, or ends at its start
 */
export async function startVersity(): Promise<S3Server> {
  const { home, data, versions } = folders();
  const port = await freePort();
  const where = ['--port', `127.0.0.1:${port}`, '--region', KEYS.region, '--health', '/health', '--keep-alive', '--quiet'];
  const keys = { ROOT_ACCESS_KEY: KEYS.accessKey, ROOT_SECRET_KEY: KEYS.secretKey };
  const gateway = daemon(program(), [...where, 'posix', '--versioning-dir', versions, data], keys);
  const stop = stoppable(() => killAll([gateway]).then(() => removeTemp(home)));
  const server: S3Server = { ...KEYS, endpoint: endpointAt(port), bucket: options => makeBucket(server, options), stop };
  await untilAnswers(`${server.endpoint}/health`, [gateway]);
  return server;
}
