import type { Site, TargetContext, Where } from '../../core/contracts.ts';
import { far } from './far.ts';
import { kubectlDoor } from './kubectl.ts';
import { local } from './local.ts';
import { sshDoor } from './ssh.ts';

/**
 * Opens the place where a target's tools run. `close` has to be called in the end, whatever came between.
 * @throws BkpError('failed') when no pod fits
 */
export async function openSite(ctx: Pick<TargetContext, 'run' | 'report' | 'signal' | 'scratch'>, where: Where): Promise<Site> {
  if (where === 'local') return local(ctx);
  if ('ssh' in where) return far(ctx, sshDoor(where.ssh), where.ssh.temp);
  return far(ctx, await kubectlDoor(ctx.run, where.kubectl, ctx.signal), where.kubectl.temp);
}
