import * as z from 'zod';
import { duration } from '../../../core/config/fields.ts';

const text = z.string().min(1);

const isAddress = (address: string): boolean => {
  const url = URL.parse(address);
  return url !== null && /^https?:$/.test(url.protocol) && url.hostname !== '';
};

/** References are resolved later, and then `settings` looks again. */
const address = (also: (url: string) => boolean, error: string) =>
  text.refine(value => value.includes('${') || (isAddress(value) && also(value)), { error, abort: true });

const isBare = (value: string): boolean => {
  const { pathname, search, hash, username, password } = new URL(value);
  return pathname === '/' && !search && !hash && !username && !password;
};

export const BAD_ENDPOINT = 'is no endpoint; allowed is http:// or https:// with a host and a port, e.g. https://s3.example.org';
export const BAD_PROXY = 'is no proxy; allowed is http:// or https:// with a host and a port, e.g. http://proxy.example.org:3128';

/** Whether a resolved text can be the endpoint of a store: no path, no user. */
export const isEndpoint = (value: string): boolean => isAddress(value) && isBare(value);

/** Whether a resolved text can be a proxy; it may carry a user and a password. */
export const isProxy = isAddress;

/** What is written out in the file is shown by `config show`. */
const hasNoPassword = (value: string): boolean => !new URL(value).password;

const endpoint = address(isBare, BAD_ENDPOINT).describe('address of the S3 service, without the bucket');

/** A part of a host name. */
const region = z.string().regex(/^([a-z0-9-]{1,63}|.*\$\{.*)$/, { error: 'is no region; allowed are small letters, digits and -' });

export const BAD_BUCKET = 'is no bucket; allowed is its name alone, without / and spaces: `prefix:` of the environment says where in it';

/** Whether a resolved text can be a bucket: what stands behind a slash would be a part of each key for one client, and not for another. */
export const isBucket = (value: string): boolean => /^[^/\s]+$/.test(value);

const account = {
  bucket: text
    .refine(value => value.includes('${') || isBucket(value), { error: BAD_BUCKET })
    .describe('bucket, or space, that holds the backups; it has to exist'),
  accessKey: text.describe('id of the access key'),
  secretKey: text.describe('secret of the access key'),
};

const connection = {
  ca: text.optional().describe('PEM text of the authority that signed the certificate of the endpoint; default: those that Node trusts'),
  proxy: address(hasNoPassword, `${BAD_PROXY}; a user and a password only within a reference such as \${S3_PROXY}`)
    .optional()
    .describe('HTTP proxy on the way to the endpoint; default: none'),
  connections: z.int().min(1).max(256).default(16).describe('connections open at the same time at most'),
  idleTimeout: duration.default('30s').describe('a connection on which nothing moves for this long is given up'),
  timeout: duration.default('10m').describe('longest time of one request'),
  retries: z.int().min(0).max(20).default(5).describe('tries after the first one of a request'),
};

const removing = z
  .enum(['delete', 'hide'])
  .describe('what removing does in a bucket that keeps versions: delete all of them, or hide the object as the bucket is set up to');
const hiding = removing.optional().describe(`${removing.description}; default: hide, and delete where \`lock\` is set`);

const lock = z
  .strictObject({
    mode: z
      .enum(['governance', 'compliance'])
      .describe('governance: an account with a right of its own can lift it; compliance: nobody can before its time, not even the owner'),
    days: z.int().min(1).max(36500).describe('how long each object of a backup, and of a log, is held from the time when it is put'),
  })
  .optional()
  .describe('object lock: what is put can be neither removed nor overwritten for so long; the bucket has to be made with it');

/** Any service that speaks S3. */
export const s3Config = z.strictObject({
  type: z.literal('s3'),
  endpoint,
  region: region.default('us-east-1'),
  ...account,
  pathStyle: z.boolean().default(true).describe('true = the bucket stands in the path, false = in the host name'),
  ...connection,
  versions: hiding,
  lock,
});

/** Hetzner Object Storage; `endpoint` is for tests and relays. */
export const hetznerConfig = z.strictObject({
  type: z.literal('hetzner'),
  region: region.describe('location of the bucket: fsn1, nbg1 or hel1'),
  ...account,
  endpoint: endpoint.optional(),
  ...connection,
  versions: hiding,
  lock,
});

/** Backblaze B2, whose buckets always keep versions; `endpoint` is for tests and relays. */
export const b2Config = z.strictObject({
  type: z.literal('b2'),
  region: region.describe('region in the endpoint of the bucket, e.g. eu-central-003'),
  ...account,
  endpoint: endpoint.optional(),
  ...connection,
  versions: removing.default('delete'),
  lock,
});

export type S3Config = z.infer<typeof s3Config>;
export type HetznerConfig = z.infer<typeof hetznerConfig>;
export type B2Config = z.infer<typeof b2Config>;
