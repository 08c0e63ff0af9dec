import type { Facts, Known, Manifest, Target, TargetContext } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { makeId } from '../../core/id.ts';
import { pinning } from '../records/pin.ts';
import { commit, discard } from './commit.ts';
import { assemble, judged } from './manifest.ts';
import type { BackupOptions } from './options.ts';
import { type Failures, type Pieces, piecesBefore, takePieces } from './pieces.ts';

/** What came of one try to take a backup that is in enough stores. */
export interface Made {
  id: string;
  manifest: Manifest;
  facts: Facts;
  failures: Failures;
}

/** How a run names the backup that it takes. */
export const whatOf = ({ kind, name }: TargetContext, id: string): string => `backup ${kind}/${name} ${id}`;

/** Takes one and commits it; when that fails, nothing of it is left. @param onParent hears that it is made from another one */
async function make(
  target: Target,
  ctx: TargetContext,
  startedAt: Date,
  known: readonly Known[],
  options: BackupOptions,
  onParent: () => void,
): Promise<Made> {
  const id = makeId(startedAt, options.random);
  const failures: Failures = new Map();
  ctx.report.emit({ type: 'started', what: whatOf(ctx, id) });
  const pieces: Pieces = [];
  const parent = pinning(ctx, 'increment', options.random);
  let incremental = false;
  const pin = async (parentId: string): Promise<void> => {
    incremental = true;
    onParent();
    await parent.begin(parentId);
  };
  try {
    const { newLineage, full = false } = options;
    const facts = await takePieces(
      target.capture(ctx, { id, newLineage, full, known, pin }),
      ctx,
      id,
      pieces,
      failures,
      piecesBefore(known, () => incremental),
    );
    ctx.signal.throwIfAborted();
    if (pieces.length === 0) throw new BkpError('failed', `${ctx.kind}/${ctx.name} gave nothing to back up: that is no backup`);
    const manifest = judged(assemble(ctx, id, startedAt, options, pieces, facts), facts, known, options);
    await commit(target, ctx, manifest, known, failures);
    return { id, manifest, facts, failures };
  } catch (error) {
    await discard(ctx, pieces);
    throw error;
  } finally {
    await parent.end();
  }
}

const mayPass = (error: unknown): boolean => error instanceof BkpError && (error.exit === 'failed' || error.exit === 'verifyFailed');

/** Whatever keeps an increment from being made, a full backup may still be taken: it is, under another id, and says so. */
export async function withoutFail(
  target: Target,
  ctx: TargetContext,
  startedAt: Date,
  known: readonly Known[],
  options: BackupOptions,
): Promise<Made> {
  let incremental = false;
  try {
    return await make(target, ctx, startedAt, known, options, () => {
      incremental = true;
    });
  } catch (error) {
    if (!incremental || ctx.signal.aborted || !mayPass(error)) throw error;
    const warning = `the incremental backup failed, and a full one was taken instead: ${sentence(error)}`;
    const again = { ...options, full: true, random: options.random.subarray(3), alsoWarn: warning };
    return make(target, ctx, startedAt, known, again, () => {});
  }
}
