import type { Target } from '../../../core/contracts.ts';
import { capture } from './capture.ts';
import { type RedisConfig, redisConfig } from './config.ts';
import { doctor, live } from './doctor.ts';
import { kit } from './kit.ts';
import { online, restoreOnline } from './online.ts';
import { prove } from './prove.ts';
import { restoreFiles } from './restore.ts';

/** Redis and Valkey: a dump over the replication protocol, restored into a directory or into the running server. */
export const redis: Target<RedisConfig> = {
  kind: 'redis',
  config: redisConfig,
  defaults: { schedule: '*/10 * * * *', rpo: '15m', retention: { within: '7d' }, after: ['samba', 'postgres'] },
  doctor,
  capture,
  online,
  restore: (ctx, request, known, read, begin = async () => {}) =>
    (request.online ? restoreOnline : restoreFiles)(ctx, request, known, read, begin),
  prove,
  live,
  kit,
};
