import { resolve } from 'node:path';
import type { TargetContext } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import type { Evidence } from '../core/evidence.ts';
import type { ReportMaterial } from '../core/reportMaterial.ts';
import type { Session } from './session.ts';

/** All drills on record; where this one is in no store, or no store answers, at least this one. */
async function materialOf(
  evidence: Evidence,
  targets: readonly TargetContext[],
  tool: string,
): Promise<{ material: ReportMaterial; signed?: Buffer }> {
  const alone = (leftOut: string): { material: ReportMaterial } => ({
    material: { env: evidence.env, at: evidence.finishedAt, tool, drills: [evidence], sizes: [], leftOut: [leftOut] },
  });
  if (targets.length === 0) return alone('no store could be opened: what was drilled before is not known');
  const { gatherMaterial } = await import('../ops/report/gather.ts');
  try {
    const { material, signed } = await gatherMaterial(targets, tool);
    if (material.drills.at(-1)?.id === evidence.id) return { material, ...(signed ? { signed } : {}) };
    return { material: { ...material, drills: [...material.drills.filter(({ id }) => id !== evidence.id), evidence] } };
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    return alone(sentence(error));
  }
}

/**
 * Puts the pages of a drill beside its record in every store, and into a directory where one is named.
 * @param targets contexts of what was drilled; their stores get the pages
 * @returns paths of the files in the directory
 * @throws BkpError('refused' | 'failed') when the directory does not take them
 */
export async function drillPages(
  session: Session,
  evidence: Evidence,
  targets: readonly TargetContext[],
  directory: { path: string; force: boolean } | undefined,
): Promise<string[]> {
  const [{ renderReport }, { publishReport }, { storesOf }, { writeReport }] = await Promise.all([
    import('../report/evidence/index.ts'),
    import('../ops/report/publish.ts'),
    import('../ops/report/gather.ts'),
    import('../ops/report/write.ts'),
  ]);
  const { material, signed } = await materialOf(evidence, targets, evidence.tool);
  const rendered = renderReport(material);
  const [first] = targets;
  const refused = first ? await publishReport(storesOf(targets), first.base, evidence.id, rendered) : [];
  for (const { store, key, error } of refused)
    session.report.emit({ type: 'warning', text: `store ${store} did not take ${key}, a page of this drill: ${error}` });
  return directory ? await writeReport(resolve(directory.path), rendered, { signed, force: directory.force }) : [];
}
