import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { forNode } from '../../scripts/bundle.ts';
import { root, type S3Server, startVersity, tempDir } from '../../test/real/rig/index.ts';

const BLOCK = 64 * 1024;

/** What both benches stand on: a server with two buckets, the peers, and bkp's line as one bundled program. */
export interface World {
  server: S3Server;
  buckets: string[];
  dir: string;
  /** The bundled bench/s3/line.ts. */
  line: string;
  peers: Record<'s5cmd' | 'rclone', string>;
  pair: { identity: string; recipient: string };
  /** Environment for s5cmd and rclone. */
  env: Record<string, string>;
  entry(bucket: string): Record<string, unknown>;
}

function peers(): World['peers'] {
  const lines = execFileSync('python3', [join(root, 'scripts/setup.py'), 'peers'], { encoding: 'utf8' })
    .trim()
    .split('\n');
  return Object.fromEntries(lines.map(line => line.split(' ', 2))) as World['peers'];
}

function agePair(): World['pair'] {
  const text = execFileSync('age-keygen', { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return { identity: /AGE-SECRET-KEY-\S+/.exec(text)![0], recipient: /age1\S+/.exec(text)![0] };
}

async function bundle(into: string): Promise<string> {
  await build({
    entryPoints: [join(root, 'bench/s3/line.ts')],
    outdir: into,
    outExtension: { '.js': '.mjs' },
    ...forNode,
    splitting: true,
  });
  return join(into, 'line.mjs');
}

export async function world(): Promise<World> {
  const server = await startVersity();
  const dir = tempDir();
  const { endpoint, region, accessKey, secretKey } = server;
  return {
    server,
    dir,
    buckets: [await server.bucket(), await server.bucket()],
    line: await bundle(join(dir, 'line')),
    peers: peers(),
    pair: agePair(),
    env: {
      AWS_ACCESS_KEY_ID: accessKey,
      AWS_SECRET_ACCESS_KEY: secretKey,
      AWS_REGION: region,
      S3_ENDPOINT_URL: endpoint,
      RCLONE_CONFIG: '',
      RCLONE_CONFIG_B_TYPE: 's3',
      RCLONE_CONFIG_B_PROVIDER: 'Other',
      RCLONE_CONFIG_B_ENV_AUTH: 'true',
      RCLONE_CONFIG_B_ENDPOINT: endpoint,
      RCLONE_S3_CHUNK_SIZE: '16M',
      RCLONE_S3_NO_CHECK_BUCKET: 'true',
    },
    entry: bucket => ({ type: 's3', endpoint, region, bucket, accessKey, secretKey }),
  };
}

/** A file of `mib` MiB of which half packs to nothing, block by block. */
export function halfPacked(path: string, mib: number): string {
  const file = openSync(path, 'w');
  const noise = Buffer.alloc(BLOCK);
  let state = 0x2545f491;
  for (let n = 0; n < (mib * 1024 * 1024) / BLOCK / 2; n += 1) {
    for (let at = 0; at < BLOCK; at += 4) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      noise.writeInt32LE(state, at);
    }
    writeSync(file, noise);
    writeSync(file, Buffer.alloc(BLOCK, n & 0xff));
  }
  closeSync(file);
  return path;
}
