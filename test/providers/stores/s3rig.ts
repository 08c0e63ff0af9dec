import { randomBytes } from 'node:crypto';
import type { Clock, Store } from '../../../src/core/contracts.ts';
import { b2Config, openB2, openS3, s3Config } from '../../../src/providers/stores/s3/index.ts';
import { type B2, type S3Server, startB2, startRgw, startVersity } from '../../real/rig/index.ts';

/** One of each kind that a store may be in. */
export interface S3Servers {
  rgw: S3Server;
  versity: S3Server;
  b2: B2;
}

export async function startServers(): Promise<S3Servers> {
  const [rgw, versity] = await Promise.all([startRgw(), startVersity()]);
  return { rgw, versity, b2: await startB2(versity) };
}

/** A clock that stands still, and waits only by writing down how long: milliseconds. */
export interface StillClock extends Clock {
  readonly waits: number[];
}

export function stillClock(at = new Date()): StillClock {
  const waits: number[] = [];
  return { waits, now: () => at, sleep: async ms => void waits.push(ms) };
}

const settings = (server: S3Server, bucket: string) => ({
  endpoint: server.endpoint,
  region: server.region,
  bucket,
  accessKey: server.accessKey,
  secretKey: server.secretKey,
});

/** A store of `type: s3` in a bucket of a server of the rig; `more` goes over its settings, `resolved` over what came out of `${…}`. */
export const storeAt = (server: S3Server, bucket: string, more: object = {}, clock: Clock = stillClock(), resolved: object = {}): Store =>
  openS3(
    'far',
    { ...s3Config.parse({ type: 's3', ...settings(server, bucket), ...more }), ...resolved },
    { prefix: 'bkp', clock, random: randomBytes },
  );

/** A store of `type: b2`. */
export const b2At = (server: S3Server, bucket: string, more: object = {}, clock: Clock = stillClock()): Store =>
  openB2('far', b2Config.parse({ type: 'b2', ...settings(server, bucket), ...more }), { prefix: 'bkp', clock, random: randomBytes });

/** Keys under a prefix, in the order of the listing. */
export async function keysOf(store: Store, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}
