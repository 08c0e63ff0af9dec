import type { Target, TargetContext } from '../../core/contracts.ts';
import type { Reach } from '../../core/points.ts';
import type { Problem } from '../catalog.ts';
import { listTarget } from '../list.ts';
import { hasWindows, windowsOfTarget } from '../window.ts';

/**
 * What a target can be brought back to, store by store in the order of the config.
 * @param window how far back the retention of the config lets a restore choose the instant, ms
 * @throws BkpError('storeUnreachable') when no store answers
 */
export async function reachOf(target: Target, ctx: TargetContext, window?: number): Promise<{ reaches: Reach[]; problems: Problem[] }> {
  const { rows, problems } = await listTarget(ctx);
  const logged = hasWindows(target) ? await windowsOfTarget(target, ctx, window === undefined ? {} : { window }) : undefined;
  const at = new Map(rows.map(row => [row.id, row.recoveryPointAt]));
  const reaches = ctx.stores.map(({ name }): Reach => {
    const whole = rows.filter(row => row.copies[name] === 'whole' && row.anomaly === undefined);
    const lines = logged?.lines.filter(({ store }) => store === name) ?? [];
    return {
      store: name,
      backups: whole.map(row => ({ id: row.id, at: row.recoveryPointAt })),
      spans: lines.map(({ from, to, live, backups }) => ({
        from,
        to,
        live,
        backups: backups.flatMap(id => (at.has(id) ? [{ id, at: at.get(id)! }] : [])),
      })),
    };
  });
  const told = new Set(problems.map(({ store, error }) => `${store}: ${error}`));
  return { reaches, problems: [...problems, ...(logged?.problems ?? []).filter(({ store, error }) => !told.has(`${store}: ${error}`))] };
}
