import { randomBytes } from 'node:crypto';
import type { Target } from '../core/contracts.ts';
import type { Session } from './session.ts';

/**
 * What the running source holds now, backed up before a restore writes over it.
 * @returns the id of that backup
 */
export async function secure(session: Session, target: Target, kind: string, name: string): Promise<string> {
  const { backupTarget } = await import('../ops/backup/index.ts');
  const { ctx, entry } = session.app.target(session.options.env, kind, name);
  const { manifest } = await backupTarget(target, ctx, {
    newLineage: false,
    // What a disaster left is an anomaly: else it would be the latest when the restore is tried again.
    alarmBelow: entry.alarmBelow,
    acceptSize: false,
    evenWhileRestoring: true,
    random: randomBytes(8),
    tool: `bkp ${session.version}`,
  });
  return manifest.id;
}
