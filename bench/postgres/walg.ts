import { appendFileSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { serverAccount } from '../../test/real/rig/index.ts';
import { asServer, type Bench, newestBytes, type Tool } from './tool.ts';

/** WAL-G as its defaults are, but for zstd; which encryption it has depends on how it was built, so none is used. */
export function walg({ server, dir }: Bench, program: string): Tool {
  const files = join(dir, 'files');
  mkdirSync(files);
  const account = serverAccount();
  if (account) chownSync(files, account.uid, account.gid);
  const env = {
    HOME: dir,
    WALG_FILE_PREFIX: files,
    WALG_COMPRESSION_METHOD: 'zstd',
    PGHOST: server.socketDir,
    PGPORT: String(server.port),
    PGUSER: server.superuser,
  };
  const command = `env ${Object.entries(env)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')} ${program}`;
  return {
    name: 'walg',
    how: 'zstd at its own level, no encryption, processes by its defaults, WAL in its archive',
    archive: `${command} wal-push %p`,
    backup: () => asServer(`${program} backup-push ${server.dataDir}`, env),
    restore(to) {
      const used = asServer(`${program} backup-fetch ${to} LATEST`, env);
      const lines = { restore_command: `${command} wal-fetch %f %p`, recovery_target: 'immediate', recovery_target_action: 'promote' };
      appendFileSync(
        join(to, 'postgresql.conf'),
        Object.entries(lines)
          .map(([name, value]) => `${name} = '${value}'\n`)
          .join(''),
      );
      asServer(`touch ${join(to, 'recovery.signal')}`, env);
      return used;
    },
    bytes: () => newestBytes(join(files, 'basebackups_005'), 'base_'),
  };
}
