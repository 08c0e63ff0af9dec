import { randomBytes } from 'node:crypto';
import type { ExitName } from '../../core/errors.ts';
import { makeId } from '../../core/id.ts';
import type { BackupSet } from '../../core/set.ts';
import type { BackupResult } from '../../ops/backup/index.ts';
import { partName } from '../../ops/fulldr/part.ts';
import { type Session, worst } from '../session.ts';
import { FULL_DR, partsOf } from './parts.ts';

/** What the backup of one entry came to, as `bkp backup` has it. */
export interface Taken {
  kind: string;
  name: string;
  exit: ExitName;
  result?: BackupResult;
  error?: string;
}

const memberOf = ({ kind, name, result, error }: Taken): BackupSet['members'][number] => {
  const { manifest } = result ?? {};
  const fault = error ?? manifest?.anomaly;
  return {
    kind,
    name,
    ...(manifest && manifest.anomaly === undefined ? { backup: manifest.id, recoveryPointAt: manifest.recoveryPointAt } : {}),
    ...(fault === undefined ? {} : { error: fault }),
  };
};

/**
 * Takes a backup of every part of the stack, and writes down as a signed set which belong together. One that fails leaves the others
 * whole, and the set says so.
 * @param take backs up one entry; never throws but for a signal
 */
export async function backupStack<T extends Taken>(
  session: Session,
  take: (kind: string, name: string) => Promise<T>,
): Promise<{ set: BackupSet; outcomes: T[]; exit: ExitName; text: string[] }> {
  const { writeSet } = await import('../../ops/fulldr/sets.ts');
  const { assertTrusted } = await import('../../ops/signer.ts');
  const { refuseRestoring } = await import('../../ops/records/restoring.ts');
  const stack = session.app.stack(session.options.env);
  assertTrusted(stack.keys);
  await refuseRestoring(stack.stores, stack.base);
  const startedAt = stack.clock.now();
  const outcomes: T[] = [];
  for (const { kind, name } of partsOf(session)) outcomes.push(await take(kind, name));
  const set: BackupSet = {
    version: 1,
    id: makeId(startedAt, randomBytes(3)),
    env: stack.env,
    startedAt: startedAt.toISOString(),
    finishedAt: stack.clock.now().toISOString(),
    tool: `bkp ${session.version}`,
    members: outcomes.map(memberOf),
  };
  const refused = await writeSet(stack, set);
  for (const { store, error } of refused)
    session.report.emit({ type: 'warning', text: `store ${store} does not hold set ${set.id}: ${error}` });
  const without = refused.length === 0 ? 'done' : refused.length < stack.stores.length ? 'partial' : 'storeUnreachable';
  if (without !== 'done')
    session.outcome({
      target: FULL_DR,
      exit: without,
      message: `set ${set.id} is not in ${refused.map(({ store, error }) => `store ${store}: ${error}`).join('; ')}`,
    });
  const lacking = set.members.filter(({ backup }) => backup === undefined).map(partName);
  return {
    set,
    outcomes,
    exit: worst([...outcomes.map(({ exit }) => exit), without]),
    text: [
      lacking.length === 0
        ? `full-dr: set ${set.id} of ${outcomes.length} part(s)`
        : `full-dr: FAILED: set ${set.id} is not complete, it lacks ${lacking.join(', ')}`,
    ],
  };
}
