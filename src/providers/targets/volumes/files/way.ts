import type { Id, Known, Manifest, Reached, RestoreRequest } from '../../../../core/contracts.ts';
import type { Context } from './context.ts';

/** A kind of place that files come back into. */
export interface Way<Plan extends { manifest: Manifest }> {
  /** Looks, and changes nothing. @throws BkpError('refused' | 'usage' | 'notFound') */
  planned(ctx: Context, request: RestoreRequest, known: readonly Known[]): Promise<Plan>;
  /** What will be done, in lines for who is asked. */
  told(ctx: Context, request: RestoreRequest, plan: Plan): string[];
  /** @throws BkpError; 'partial' when owners or modes are not what they were: the files stay */
  perform(ctx: Context, request: RestoreRequest, plan: Plan): Promise<Reached>;
}

/**
 * Plans, tells, asks, and then brings files back.
 * @param begin keeps prune from the backup that was chosen
 * @returns undefined after a dry run
 * @throws what the way throws
 */
export async function goneBy<Plan extends { manifest: Manifest }>(
  way: Way<Plan>,
  ctx: Context,
  request: RestoreRequest,
  known: readonly Known[],
  begin: (id: Id) => Promise<void>,
): Promise<Reached | undefined> {
  const plan = await way.planned(ctx, request, known);
  const lines = way.told(ctx, request, plan);
  if (request.dryRun) {
    for (const line of lines) ctx.report.emit({ type: 'note', text: line });
    return undefined;
  }
  await request.confirm(lines);
  await begin(plan.manifest.id);
  return way.perform(ctx, request, plan);
}
