import { join } from 'node:path';
import { bkpCommand, makeConfig } from '../../test/real/rig/index.ts';
import { metered } from '../metered.ts';
import { type Bench, newestBytes, type Tool } from './tool.ts';

/** bkp as its defaults are; its base backups carry the WAL that they need. */
export async function bkp({ server, dir }: Bench, incremental = false): Promise<Tool> {
  const store = join(dir, 'store');
  const increments = incremental ? { full: 'monthly', incremental: 'daily' } : {};
  const { path } = await makeConfig({
    dir,
    stores: { local: store },
    postgres: { app: server.entry({ spool: join(dir, 'spool'), ...increments }) },
  });
  const env = { BKP_CONFIG: path, XDG_CACHE_HOME: join(dir, 'cache'), ...server.bkpEnv };
  const run = (...words: string[]) => {
    const [file, args] = bkpCommand(words);
    return metered([file, ...args].join(' '), env);
  };
  return {
    name: 'bkp',
    how: 'zstd 3 on every processor, age, WAL inside',
    backup: () => run('backup', 'postgres', '--full'),
    ...(incremental ? { increment: () => run('backup', 'postgres') } : {}),
    restore: to => run('restore', 'postgres', '--from-backup', 'latest', '--to', to, '--yes'),
    bytes: () => newestBytes(join(store, 'bkp/production/postgres/app/backups')),
  };
}
