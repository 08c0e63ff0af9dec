import type { Check, LineageId, TargetContext } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import { currentOf, knownLineages, type Lineage } from './lineage.ts';
import type { Live } from './live.ts';

type Context = TargetContext<PostgresConfig>;

function compare(ctx: Context, live: Live, known: readonly Lineage[]): Check {
  const name = 'identity';
  if (known.length === 0) return { name, state: 'ok', text: 'nothing is stored yet' };
  if (known.some(({ systemIdentifier }) => systemIdentifier === live.systemIdentifier))
    return { name, state: 'ok', text: 'the stores hold backups of this very cluster' };
  return {
    name,
    state: 'fail',
    text: `the stores hold backups of cluster ${[...new Set(known.map(each => each.systemIdentifier))].join(', ')}, and this is ${live.systemIdentifier}`,
    mend: `check host and port; if it was created anew on purpose: bkp backup postgres ${ctx.name} --new-lineage`,
  };
}

/** Whether the stores hold backups of this very server, which `bkp backup` refuses otherwise, and of which lineage it is. Writes nothing. */
export async function identify(ctx: Context, live: Live): Promise<{ check: Check; lineage?: LineageId }> {
  try {
    const known = [...(await knownLineages(ctx)).values()];
    const lineage = currentOf(known, live)?.lineage;
    return { check: compare(ctx, live, known), ...(lineage ? { lineage } : {}) };
  } catch (error) {
    return { check: { name: 'identity', state: 'fail', text: sentence(error).split('\n')[0]!, mend: 'bkp list postgres' } };
  }
}
