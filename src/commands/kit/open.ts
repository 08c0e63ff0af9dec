import type { ExitName } from '../../core/errors.ts';
import { formatAge } from '../../report/format.ts';
import type { BareSession } from '../session.ts';
import { type KeyFlags, openFile } from './key.ts';

/** `bkp kit open`. */
export async function unpackTo(session: BareSession, file: string, flags: KeyFlags & { to: string }): Promise<ExitName> {
  const { unpackKit } = await import('../../ops/kit/open.ts');
  const { CONFIG, RUNBOOK } = await import('../../core/kit/types.ts');
  const kit = await openFile(file, flags, session);
  const dir = await unpackKit(kit, flags.to, session.signal);
  const { id, env, madeAt } = kit.meta;
  session.result({ kit: id, env, madeAt, dir, files: [...kit.files.keys()] }, [
    `kit ${id} of ${env}, made ${formatAge(new Date(madeAt), new Date())}, is in ${dir}`,
    `  → less ${dir}/${RUNBOOK}`,
    `  → bkp --config ${dir}/${CONFIG} --env ${env} list`,
  ]);
  return 'done';
}
