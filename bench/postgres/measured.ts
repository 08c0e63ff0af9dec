import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Postgres,
  type PostgresVersion,
  removeTemp,
  serverAccount,
  startPostgres,
  tempDir,
  waitFor,
} from '../../test/real/rig/index.ts';
import type { Metered } from '../metered.ts';
import { endedCpu, type Tool } from './tool.ts';

/** A base backup, with the processors that the server itself used for it. */
export function backedUp(server: Postgres, tool: Tool): Metered {
  const before = endedCpu(server);
  const used = tool.backup();
  return { ...used, cpu: used.cpu + endedCpu(server) - before };
}

async function serve(to: string, version: PostgresVersion): Promise<Postgres> {
  const started = await startPostgres({ version, dir: to, settings: { archive_mode: 'off' } });
  await waitFor(async () => (await started.sql('select pg_is_in_recovery()')) === 'f', 'the end of recovery');
  return started;
}

/**
 * A restore of the newest backup, to the moment when a server on it has left recovery; processors are those of the tool.
 * @throws when the table `half` does not have `rows` rows there
 */
export async function restored(tool: Tool, rows: number, version: PostgresVersion = '15'): Promise<Metered> {
  const dir = tempDir({ forServer: true });
  const to = join(dir, 'data');
  mkdirSync(to, { mode: 0o700 });
  const account = serverAccount();
  if (account) chownSync(to, account.uid, account.gid);
  const used = tool.restore(to);
  const from = performance.now();
  const started = await serve(to, version);
  const wall = used.wall + (performance.now() - from) / 1000;
  const found = Number(await started.sql('select count(*) from half'));
  await started.destroy();
  removeTemp(dir);
  if (found !== rows) throw new Error(`${tool.name} gave back ${found} rows of ${rows}`);
  return { ...used, wall };
}
