import type { Site } from '../../../core/contracts.ts';
import type { Context } from './config.ts';

/** Whether K3s runs there, by the config or by its program. */
export async function isK3s(ctx: Context, site: Site): Promise<boolean> {
  if (ctx.config.flavor !== 'auto') return ctx.config.flavor === 'k3s';
  return (await site.which('k3s', [...ctx.config.bin, '/usr/local/bin'])) !== undefined;
}
