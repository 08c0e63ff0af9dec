import type { Access } from '../../../../core/contracts.ts';

/** How restic is told where a repository lies. `env` holds secrets: for the environment of a child, and for nothing else. */
export interface Reach {
  /** The store that it lies in, for sentences. */
  store?: string;
  repository: string;
  env: Record<string, string>;
  args: string[];
}

type Variables = Record<string, string | undefined>;

const set = (variables: Variables): Record<string, string> =>
  Object.fromEntries(Object.entries(variables).filter((pair): pair is [string, string] => pair[1] !== undefined));

/**
 * The place of a repository in restic's words. A repository in a directory needs no cache: it would be a second copy on the same host. Pure.
 * @param prefix key prefix of the repository, without slashes at its ends
 * @param files `ca` = file that holds `access.ca`; `cache` = directory of the cache
 */
export function reachOf(access: Access, prefix: string, files: { ca?: string; cache?: string } = {}): Reach {
  if (access.kind === 'directory') return { repository: `${access.path}/${prefix}`, env: {}, args: ['--no-cache'] };
  const { endpoint, bucket, region, accessKey, secretKey, pathStyle, proxy } = access;
  return {
    repository: `s3:${endpoint}/${bucket}/${prefix}`,
    env: set({
      AWS_ACCESS_KEY_ID: accessKey,
      AWS_SECRET_ACCESS_KEY: secretKey,
      AWS_DEFAULT_REGION: region,
      HTTP_PROXY: proxy,
      HTTPS_PROXY: proxy,
    }),
    args: [
      '-o',
      `s3.bucket-lookup=${pathStyle ? 'path' : 'dns'}`,
      ...(files.ca === undefined ? [] : ['--cacert', files.ca]),
      ...(files.cache === undefined ? [] : ['--cache-dir', files.cache]),
    ],
  };
}

/** restic knows one account of S3 at a time: of two buckets one has to be reached another way. */
export const areBothS3 = (one: Access, other: Access): boolean => one.kind === 's3' && other.kind === 's3';
