import type { LineageId, Target, TargetContext } from '../../core/contracts.ts';
import { BkpError } from '../../core/errors.ts';
import type { KubernetesOptions } from '../../core/render/kubernetes/types.ts';

/**
 * Reads `NAME=LINEAGE`, as often as it is given.
 * @throws BkpError('usage')
 */
export function lineagesOf(texts: readonly string[]): { name: string; lineage: LineageId }[] {
  return texts.map(text => {
    const [, name, lineage] = /^([a-z0-9-]+)=(\d+-\d+)$/.exec(text) ?? [];
    if (!name || !lineage)
      throw new BkpError('usage', `"${text}" is no NAME=LINEAGE, such as app=7301234567890123456-1`, {
        next: 'bkp list postgres --window',
      });
    return { name, lineage };
  });
}

/** WAL-G's settings for the pods of one database, in the first store of the entry. Secrets stay references. */
export function walgOf({ target, ctx }: { target: Target; ctx: TargetContext }, lineage: LineageId): KubernetesOptions['walg'][number] {
  if (!target.program) throw new BkpError('usage', `${ctx.kind} has no program of its own`);
  return { name: ctx.name, ...target.program.settings(ctx, ctx.stores[0]!, lineage) };
}
