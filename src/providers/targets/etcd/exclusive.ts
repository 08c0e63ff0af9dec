import { exclusive as exclusiveOf } from '../../../flow/exclusive.ts';
import { type Context, called } from './config.ts';

/**
 * Keeps a second run for the same entry and source on this host away.
 * @returns what gives it free
 * @throws BkpError('conflict') while another run is under way
 */
export function exclusive(ctx: Context): Promise<() => Promise<void>> {
  const { where, endpoints, k3s } = ctx.config;
  return exclusiveOf('etcd', [ctx.base, where, endpoints, k3s.dataDir], `${called(ctx)}: a backup of it is running on this host already`);
}
