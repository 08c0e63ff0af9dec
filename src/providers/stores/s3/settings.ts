import type { Bucket } from '../../../core/contracts.ts';
import { parseDuration } from '../../../core/duration.ts';
import { BkpError } from '../../../core/errors.ts';
import {
  type B2Config,
  BAD_BUCKET,
  BAD_ENDPOINT,
  BAD_PROXY,
  type HetznerConfig,
  isBucket,
  isEndpoint,
  isProxy,
  type S3Config,
} from './config.ts';

/** How objects of backups are held: milliseconds. */
export interface Lock {
  mode: 'GOVERNANCE' | 'COMPLIANCE';
  ms: number;
}

/** Until when the store holds one version. */
export interface Hold {
  mode: Lock['mode'];
  until: Date;
}

/** One bucket of one service, all secrets resolved. Times are milliseconds. */
export interface Settings extends Bucket {
  connections: number;
  idleTimeout: number;
  timeout: number;
  retries: number;
  /** What removing does where the bucket keeps versions. */
  versions: 'delete' | 'hide';
  lock?: Lock;
  /** Whether the service may be sent If-None-Match at all. */
  conditional: boolean;
}

type Common = Pick<
  S3Config,
  'bucket' | 'accessKey' | 'secretKey' | 'connections' | 'retries' | 'versions' | 'lock' | 'idleTimeout' | 'timeout'
> & {
  ca?: string | undefined;
  proxy?: string | undefined;
};

const DAY_MS = 86_400_000;

const lockOf = ({ mode, days }: NonNullable<S3Config['lock']>): Lock => ({
  mode: mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE',
  ms: days * DAY_MS,
});

const common = ({ bucket, accessKey, secretKey, connections, retries, versions, lock, idleTimeout, timeout, ca, proxy }: Common) => ({
  bucket,
  accessKey,
  secretKey,
  connections,
  retries,
  versions: versions ?? (lock ? 'delete' : 'hide'),
  ...(lock ? { lock: lockOf(lock) } : {}),
  idleTimeout: parseDuration(idleTimeout),
  timeout: parseDuration(timeout),
  ...(ca === undefined ? {} : { ca }),
  ...(proxy === undefined ? {} : { proxy }),
});

/**
 * Values that came out of `${…}` were not seen by the schema. The proxy is not named: it may carry a password, as an endpoint with an @ does.
 * Others are given the endpoint without the slash that may stand at its end: restic would look for a bucket without a name.
 */
function checked(name: string, settings: Settings): Settings {
  const { endpoint, bucket } = settings;
  const shown = endpoint.includes('@') ? 'it' : `"${endpoint}"`;
  if (!isEndpoint(endpoint)) throw new BkpError('usage', `store ${name}: endpoint: ${shown} ${BAD_ENDPOINT}`);
  if (!isBucket(bucket)) throw new BkpError('usage', `store ${name}: bucket: "${bucket}" ${BAD_BUCKET}`);
  if (settings.proxy !== undefined && !isProxy(settings.proxy)) throw new BkpError('usage', `store ${name}: proxy: it ${BAD_PROXY}`);
  return { ...settings, endpoint: new URL(endpoint).origin };
}

/** Settings of a store of `type: s3`. Throws BkpError('usage') when a resolved value is no address. */
export const s3Settings = (name: string, config: S3Config): Settings =>
  checked(name, {
    ...common(config),
    endpoint: config.endpoint,
    region: config.region,
    pathStyle: config.pathStyle,
    conditional: true,
  });

/** Settings of a store of `type: hetzner`. Throws BkpError('usage') as `s3Settings` does. */
export const hetznerSettings = (name: string, config: HetznerConfig): Settings =>
  checked(name, {
    ...common(config),
    endpoint: config.endpoint ?? `https://${config.region}.your-objectstorage.com`,
    region: config.region,
    pathStyle: true,
    conditional: true,
  });

/** Settings of a store of `type: b2`. Throws BkpError('usage') as `s3Settings` does. */
export const b2Settings = (name: string, config: B2Config): Settings =>
  checked(name, {
    ...common(config),
    endpoint: config.endpoint ?? `https://s3.${config.region}.backblazeb2.com`,
    region: config.region,
    pathStyle: true,
    conditional: false,
  });
