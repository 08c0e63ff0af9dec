import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../test/real/rig/index.ts';

export type Peer = 's5cmd' | 'rclone' | 'pgbackrest' | 'barman';

/** Absolute paths of the programs to compare with, installed where they are missing. @throws when one cannot be installed */
export function peers(): Record<Peer, string> {
  const lines = execFileSync('python3', [join(root, 'scripts/setup.py'), 'peers'], { encoding: 'utf8' })
    .trim()
    .split('\n');
  return Object.fromEntries(lines.map(line => line.split(' ', 2))) as Record<Peer, string>;
}

/** Environment with which s5cmd and rclone (remote `B:`) reach a server. */
export const clientEnv = (server: { endpoint: string; region: string; accessKey: string; secretKey: string }): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: server.accessKey,
  AWS_SECRET_ACCESS_KEY: server.secretKey,
  AWS_REGION: server.region,
  S3_ENDPOINT_URL: server.endpoint,
  RCLONE_CONFIG: '',
  RCLONE_CONFIG_B_TYPE: 's3',
  RCLONE_CONFIG_B_PROVIDER: 'Other',
  RCLONE_CONFIG_B_ENV_AUTH: 'true',
  RCLONE_CONFIG_B_ENDPOINT: server.endpoint,
  RCLONE_S3_CHUNK_SIZE: '16M',
  RCLONE_S3_NO_CHECK_BUCKET: 'true',
});
