import { userData, wants } from './args.ts';
import { log, now } from './log.ts';
import { openSession, serverInfo } from './postgres.ts';
import { pushLocal } from './pushLocal.ts';
import { pushRemote } from './pushRemote.ts';
import type { Run } from './run.ts';

/** `backup-push [DATADIR] [--full] [--permanent] [--delta-from-name NAME] [--add-user-data JSON]` */
export async function backupPush(run: Run): Promise<void> {
  wants(run.args, 0, 1);
  log.info('Backup will be pushed to storage: default');
  userData(run.args.value('add-user-data'));
  const started = now();
  const session = await openSession(run.settings);
  const info = await serverInfo(session);
  await (run.args.rest.length > 0 ? pushLocal : pushRemote)(run, session, info, started);
  session.end();
}
