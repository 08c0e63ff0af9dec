import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { run } from './child.ts';
import { binDir } from './places.ts';
import { daemon, endpointAt, KEYS, killAll, makeBucket, type S3Server, s3Client, stoppable, untilAnswers } from './s3.ts';
import { removeTemp, tempDir } from './temp.ts';
import { freePort } from './wait.ts';

/** The program as scripts/setup.py builds it, in the cache that holds PostgreSQL 18 too. @throws naming the set-up command when it is not there */
function program(): string {
  const file = resolve(binDir('18'), '../../../../versitygw/versitygw');
  if (existsSync(file)) return file;
  throw new Error(`versitygw is not at ${file}: run \`npm run setup\``);
}

function folders(): { home: string; data: string; versions: string; users: string } {
  const home = tempDir();
  const made = { home, data: join(home, 'data'), versions: join(home, 'versions'), users: join(home, 'users') };
  for (const dir of [made.data, made.versions, made.users]) mkdirSync(dir);
  return made;
}

/**
 * Starts versitygw over a temporary directory: a strict S3 server with versions, object lock, checksums and conditional writes.
 * @throws when it is not set up, or ends at its start
 */
export async function startVersity(): Promise<S3Server> {
  const { home, data, versions, users } = folders();
  const port = await freePort();
  const where = [
    '--port',
    `127.0.0.1:${port}`,
    '--region',
    KEYS.region,
    '--health',
    '/health',
    '--keep-alive',
    '--quiet',
    '--iam-dir',
    users,
  ];
  const keys = { ROOT_ACCESS_KEY: KEYS.accessKey, ROOT_SECRET_KEY: KEYS.secretKey };
  const gateway = daemon(program(), [...where, 'posix', '--versioning-dir', versions, data], keys);
  const stop = stoppable(() => killAll([gateway]).then(() => removeTemp(home)));
  const server: S3Server = { ...KEYS, endpoint: endpointAt(port), bucket: options => makeBucket(server, options), stop };
  await untilAnswers(`${server.endpoint}/health`, [gateway]);
  return server;
}

/**
 * Makes an account of a versitygw that may do everything in a bucket, but for some actions.
 * @param denied such as `s3:BypassGovernanceRetention`
 * @returns the server, as that account uses it
 */
export async function asLesser(server: S3Server, Bucket: string, denied: readonly string[]): Promise<S3Server> {
  const lesser = { accessKey: `lesser-${Bucket}`, secretKey: 'of-the-lesser' };
  const admin = ['admin', '--access', server.accessKey, '--secret', server.secretKey, '--endpoint-url', server.endpoint];
  await run(program(), [...admin, 'create-user', '--access', lesser.accessKey, '--secret', lesser.secretKey, '--role', 'user']);
  const statement = (Effect: 'Allow' | 'Deny', Action: readonly string[]) => ({
    Effect,
    Action,
    Principal: lesser.accessKey,
    Resource: [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`],
  });
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement('Allow', ['s3:*']), statement('Deny', denied)] });
  const client = s3Client(server);
  await client.send(new PutBucketPolicyCommand({ Bucket, Policy })).finally(() => client.destroy());
  return { ...server, ...lesser };
}
