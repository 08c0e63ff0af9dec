import type { Readable } from 'node:stream';
import { DeleteObjectsCommand, GetBucketVersioningCommand, GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Folder, Stored } from './folder.ts';
import { fatal } from './log.ts';
import { withContentMd5 } from './md5.ts';
import { retrying, worded } from './retry.ts';
import { plainly, versions } from './s3List.ts';
import type { Settings } from './settings.ts';
import { abandon, upload } from './upload.ts';

export interface Bucket {
  client: S3Client;
  name: string;
  /** Ends in `/`, or empty. */
  root: string;
  partSize: number;
  /** Sends one request as often as S3_MAX_RETRIES allows. @throws Fatal, with `what` before aws-sdk-go's words */
  ask<T>(what: string, send: () => Promise<T>): Promise<T>;
}

function isMissing(error: unknown): boolean {
  return ['NoSuchKey', 'NotFound'].includes((error as Error).name);
}

/** Without AWS_S3_FORCE_PATH_STYLE the bucket goes before the host, whatever the host is. */
function endpointOf(settings: Settings, bucket: string): string {
  const endpoint = settings.get('AWS_ENDPOINT') ?? fatal('this stand-in speaks to AWS_ENDPOINT only, and that is not set');
  const url = new URL(endpoint.includes('://') ? endpoint : `https://${endpoint}`);
  if (settings.on('AWS_S3_FORCE_PATH_STYLE')) return url.origin;
  const host = `${bucket}.${url.host}`;
  const at = `${url.protocol}//${host}/`;
  if (/^[\d.]+$/.test(url.hostname))
    fatal(`RequestError: send request failed\ncaused by: Get "${at}": dial tcp: lookup ${bucket}.${url.hostname}: no such host`);
  return at.slice(0, -1);
}

function connect(prefix: string, settings: Settings): Bucket {
  const [, name = '', path = ''] =
    /^s3:\/\/([^/]+)\/?(.*)$/.exec(prefix) ?? fatal(`extract bucket and path from prefix "${prefix}": missing url scheme=s3 and/or host`);
  const endpoint = endpointOf(settings, name);
  const client = new S3Client({
    endpoint,
    region: settings.get('AWS_REGION') ?? 'us-east-1',
    credentials: { accessKeyId: settings.get('AWS_ACCESS_KEY_ID') ?? '', secretAccessKey: settings.get('AWS_SECRET_ACCESS_KEY') ?? '' },
    forcePathStyle: settings.on('AWS_S3_FORCE_PATH_STYLE'),
    bucketEndpoint: false,
    retryStrategy: { mode: 'none', retry: (next, args) => next(args) },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  withContentMd5(client);
  const retries = settings.number('S3_MAX_RETRIES', 15);
  const url = `${endpoint}/${name}`;
  const ask: Bucket['ask'] = (what, send) =>
    retrying(retries, url, send).catch(error => (isMissing(error) ? Promise.reject(error) : fatal(`${what}: ${worded(error, url)}`)));
  return {
    client,
    name,
    root: path.replace(/\/*$/, '') && `${path.replace(/\/*$/, '')}/`,
    partSize: settings.number('S3_MAX_PART_SIZE', 20 << 20),
    ask,
  };
}

async function removeAll({ client, name: Bucket, root, ask }: Bucket, objects: readonly Stored[]): Promise<void> {
  for (let at = 0; at < objects.length; at += 1000) {
    const Objects = objects
      .slice(at, at + 1000)
      .map(({ name, version }) => ({ Key: root + name, ...(version ? { VersionId: version } : {}) }));
    // WAL-G does not look at the errors within the answer either.
    await ask('failed to delete s3 object', () => client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } })));
  }
}

/** WALG_S3_PREFIX: real objects on a real server. */
export function openS3(prefix: string, settings: Settings): Folder {
  const bucket = connect(prefix, settings);
  const { client, name: Bucket, root, ask } = bucket;
  let known: Promise<boolean> | undefined;
  const isVersioned = (): Promise<boolean> => {
    known ??= ask('versioning', () => client.send(new GetBucketVersioningCommand({ Bucket }))).then(
      ({ Status }) => Status === 'Enabled',
      () => false,
    );
    return known;
  };
  return {
    path: root,
    list: async (under, { hidden = false } = {}) => ((await isVersioned()) ? versions(bucket, under, hidden) : plainly(bucket, under)),
    get: name =>
      ask(`failed to read object: '${root}${name}' from S3`, () => client.send(new GetObjectCommand({ Bucket, Key: root + name }))).then(
        ({ Body }) => Body as Readable,
        error => (isMissing(error) ? undefined : Promise.reject(error)),
      ),
    put: (name, body) => upload(bucket, root + name, body),
    remove: objects => removeAll(bucket, objects),
    abandon: name => abandon(bucket, root + name),
  };
}
