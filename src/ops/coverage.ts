import type { Holding, Target, TargetContext } from '../core/contracts.ts';
import { clusterHoldings, merged } from '../core/coverage.ts';
import { readCluster } from '../flow/cluster.ts';
import type { ClusterAccess } from '../flow/site/kubectl.ts';
import { catalog } from './catalog.ts';
import { gathered } from './gathered.ts';
import { newestGood } from './prove.ts';

/** What one target has to do with, as far as it knows; and the newest good backup that it judges by. */
export async function holdingsOf(target: Target, ctx: TargetContext): Promise<Holding[]> {
  if (!target.coverage) return [];
  const { known, problems } = await catalog(ctx.stores, ctx.base, ctx.keys);
  for (const { store, error } of gathered(problems))
    ctx.report.emit({ type: 'warning', text: `${ctx.kind}/${ctx.name}, store ${store}: ${error}` });
  const manifest = newestGood(known);
  const found: Holding[] = [];
  for await (const each of target.coverage(ctx, manifest)) found.push(each);
  return found;
}

/** Everything that holds data, each with the backup that has it or why there is none; what is uncovered comes first. */
export async function coverageOf(
  ctx: Pick<TargetContext, 'run' | 'signal'>,
  known: readonly Holding[],
  cluster: ClusterAccess | undefined,
): Promise<Holding[]> {
  const all = cluster ? [...known, ...clusterHoldings(await readCluster(ctx, cluster), merged(known))] : known;
  const isOpen = ({ coveredBy, empty }: Holding): boolean => !coveredBy && !empty;
  return merged(all).sort((a, b) => Number(isOpen(b)) - Number(isOpen(a)));
}
