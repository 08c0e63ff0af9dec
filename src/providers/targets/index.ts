import type { Target } from '../../core/contracts.ts';
import { etcd } from './etcd/index.ts';
import { postgres } from './postgres/index.ts';
import { redis } from './redis/index.ts';
import { samba } from './samba/index.ts';
import { volumes } from './volumes/index.ts';

/** Every kind of target, one line each. */
export const targets: Readonly<Record<string, Target>> = { etcd, postgres, redis, samba, volumes };
