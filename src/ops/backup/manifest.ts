import { anomalyOf, plainBytes } from '../../core/anomaly.ts';
import type { Facts, Known, Manifest, TargetContext } from '../../core/contracts.ts';
import { lineFor } from '../../flow/stages.ts';
import type { BackupOptions } from './options.ts';
import type { Pieces } from './pieces.ts';

/** What a backup is, from what was taken and what the target says of it. */
export function assemble(
  ctx: TargetContext,
  id: string,
  startedAt: Date,
  { tool, alsoWarn }: BackupOptions,
  pieces: Pieces,
  facts: Facts,
): Manifest {
  const sealed = pieces.some(piece => 'objects' in piece);
  return {
    version: 1,
    id,
    env: ctx.env,
    kind: ctx.kind,
    name: ctx.name,
    engine: (ctx.config as { engine?: string }).engine ?? 'native',
    identity: facts.identity,
    ...(facts.lineage ? { lineage: facts.lineage } : {}),
    startedAt: startedAt.toISOString(),
    recoveryPointAt: facts.at.toISOString(),
    finishedAt: ctx.clock.now().toISOString(),
    line: sealed ? lineFor(ctx.keys) : [],
    recipients: sealed ? ctx.keys.recipients : [],
    pieces,
    needs: facts.needs,
    ...(facts.contentBytes === undefined ? {} : { contentBytes: facts.contentBytes }),
    ...(facts.addedBytes === undefined ? {} : { addedBytes: facts.addedBytes }),
    ...(facts.wal ? { wal: facts.wal } : {}),
    ...(facts.tablespaces?.length ? { tablespaces: facts.tablespaces } : {}),
    baseline: facts.baseline,
    versions: { ...facts.versions, tool },
    notCovered: facts.notCovered,
    warnings: [...(facts.lacks ?? []), ...(alsoWarn ? [alsoWarn] : []), ...facts.warnings],
  };
}

/** What is sharply smaller than usual, or has lost a part, is kept, since it may be all that there is, and counts as failed. */
export function judged(manifest: Manifest, { emptied }: Facts, known: readonly Known[], options: BackupOptions): Manifest {
  if (options.acceptSize) return { ...manifest, sizeAccepted: true };
  const lost = emptied === undefined ? [] : [emptied];
  if (options.alarmBelow === 0) return { ...manifest, warnings: [...manifest.warnings, ...lost] };
  const earlier = known.map(each => each.manifest);
  const small = anomalyOf(plainBytes(manifest), earlier, options.alarmBelow);
  const faults = [...lost, ...(small === undefined ? [] : [small])];
  return faults.length > 0 ? { ...manifest, anomaly: faults.join('; ') } : manifest;
}
