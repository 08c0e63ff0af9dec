import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type S3Server, startVersity, tempDir } from '../../test/real/rig/index.ts';
import { bundled } from '../bundled.ts';
import { clientEnv, type Peer, peers } from '../peers.ts';

const BLOCK = 64 * 1024;

/** What both benches stand on: a server with two buckets, the peers, and bkp's line as one bundled program. */
export interface World {
  server: S3Server;
  buckets: string[];
  dir: string;
  /** The bundled bench/s3/line.ts. */
  line: string;
  peers: Record<Peer, string>;
  pair: { identity: string; recipient: string };
  /** Environment for s5cmd and rclone. */
  env: Record<string, string>;
  entry(bucket: string): Record<string, unknown>;
}

function agePair(): World['pair'] {
  const text = execFileSync('age-keygen', { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return { identity: /AGE-SECRET-KEY-\S+/.exec(text)![0], recipient: /age1\S+/.exec(text)![0] };
}

export async function world(): Promise<World> {
  const server = await startVersity();
  const dir = tempDir();
  const { endpoint, region, accessKey, secretKey } = server;
  return {
    server,
    dir,
    buckets: [await server.bucket(), await server.bucket()],
    line: await bundled('s3/line.ts', join(dir, 'line')),
    peers: peers(),
    pair: agePair(),
    env: clientEnv(server),
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
