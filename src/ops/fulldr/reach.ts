import type { Target, TargetContext } from '../../core/contracts.ts';
import type { Reach } from '../../core/points.ts';
import type { Problem } from '../catalog.ts';
import { listTarget } from '../list.ts';
import { hasWindows, windowsOfTarget } from '../window.ts';

/**
 * What a target can be brought back to, store by store in the order of the config, then out of stores together (`one+other`) where a backup
 * is whole in none of them.
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
  // Out of no store alone, and out of several together: it is there for whoever lets a restore take from all of them.
  const names = [...new Set(rows.flatMap(({ spread }) => (spread ? [spread.join('+')] : [])))];
  for (const store of names) {
    const spread = rows.filter(row => row.spread?.join('+') === store && row.anomaly === undefined);
    reaches.push({ store, backups: spread.map(row => ({ id: row.id, at: row.recoveryPointAt })), spans: [] });
  }
  const told = new Set(problems.map(({ store, error }) => `${store}: ${error}`));
  return { reaches, problems: [...problems, ...(logged?.problems ?? []).filter(({ store, error }) => !told.has(`${store}: ${error}`))] };
}
