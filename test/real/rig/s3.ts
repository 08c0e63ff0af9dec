import { randomBytes } from 'node:crypto';
import { get } from 'node:http';
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { type Running, start } from './child.ts';
import { guarded } from './guard.ts';
import { waitFor } from './wait.ts';

export interface BucketOptions {
  /** Keeps old versions: a deletion only hides. */
  versions?: boolean;
  /** Object lock; a locked bucket keeps versions too. */
  lock?: boolean;
}

/** An S3 server on loopback, path style, plain HTTP. */
export interface S3Server {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** Makes an empty bucket and returns its name. */
  bucket(options?: BucketOptions): Promise<string>;
  /** Ends the server at once and removes everything of it. */
  stop(): Promise<void>;
}

/** Whom the rig's servers know. */
export const KEYS = { region: 'us-east-1', accessKey: 'bkp-rig', secretKey: 'not/a+secret=0123456789' } as const;

/** Loopback, and the port that follows. */
export const endpointAt = (port: number): string => `http://127.0.0.1:${port}`;

/** A client of one try, which sends no checksum that a store did not ask for. `config` goes over that. */
export function s3Client(server: S3Server, config: S3ClientConfig = {}): S3Client {
  return new S3Client({
    endpoint: server.endpoint,
    region: server.region,
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
    forcePathStyle: true,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...config,
  });
}

/** Makes a bucket of a random name on a server. @throws the SDK's error */
export async function makeBucket(server: S3Server, { versions = false, lock = false }: BucketOptions = {}): Promise<string> {
  const Bucket = `rig-${randomBytes(6).toString('hex')}`;
  const client = s3Client(server);
  try {
    await client.send(new CreateBucketCommand({ Bucket, ...(lock ? { ObjectLockEnabledForBucket: true } : {}) }));
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    if (versions && !lock) await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  } finally {
    client.destroy();
  }
  return Bucket;
}

const stops = new Set<() => Promise<void>>();

/** Remembers how to stop a server until it is stopped; returns the `stop` to hand out, which may be called twice. */
export function stoppable(end: () => Promise<void>): () => Promise<void> {
  const stop = async () => {
    if (stops.delete(stop)) await end();
  };
  stops.add(stop);
  return stop;
}

/** Stops every S3 server and proxy that this process started, the youngest first. */
export async function stopAllS3(): Promise<void> {
  for (const stop of [...stops].reverse()) await stop();
}

/** Starts a server's process under the guard. @throws when the program cannot be started */
export function daemon(file: string, args: readonly string[], env: Record<string, string>): Running {
  const child = start(file, args, { env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', ...env } });
  if (child.pid < 1) throw new Error(`${file} does not start: run \`npm run setup\``);
  guarded.addPid(child.pid);
  child.process.once('exit', () => guarded.dropPid(child.pid));
  return child;
}

/** Ends processes by SIGKILL and waits until they are gone: nothing of a test's server is worth a slow goodbye. */
export async function killAll(daemons: readonly Running[]): Promise<void> {
  for (const one of daemons) one.kill('SIGKILL');
  await Promise.all(daemons.map(one => one.ended));
}

const answers = (url: string): Promise<boolean> =>
  new Promise(resolve => {
    const asked = get(url, { agent: false, timeout: 2000 }, response => resolve(response.resume().statusCode === 200));
    asked.once('error', () => resolve(false)).once('timeout', () => asked.destroy());
  });

const hasEnded = ({ process: { exitCode, signalCode } }: Running): boolean => exitCode !== null || signalCode !== null;

/**
 * Waits until `url` answers 200.
 * @throws with its last words when one of the daemons ends instead
 */
export async function untilAnswers(url: string, daemons: readonly Running[]): Promise<void> {
  await waitFor(async () => daemons.some(hasEnded) || (await answers(url)), `an answer from ${url}`);
  const ended = daemons.find(hasEnded);
  if (ended) throw new Error(`${ended.process.spawnfile} ended at its start: ${ended.output().stderr.slice(-2000)}`);
}
