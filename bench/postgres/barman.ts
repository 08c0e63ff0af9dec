import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { serverAccount } from '../../test/real/rig/index.ts';
import { asServer, type Bench, newestBytes, type Tool } from './tool.ts';

const config = ({ server, dir }: Bench): string => {
  const where = `host=${server.socketDir} port=${server.port} user=${server.superuser}`;
  return `[barman]
barman_user = ${serverAccount() ? 'postgres' : userInfo().username}
barman_home = ${dir}/home
barman_lock_directory = ${dir}/home
configuration_files_directory = ${dir}/home
log_file = ${dir}/barman.log

[main]
description = a bench
conninfo = ${where} dbname=postgres
streaming_conninfo = ${where}
backup_method = postgres
backup_compression = zstd
backup_compression_level = 3
backup_compression_format = tar
immediate_checkpoint = true
archiver = on
path_prefix = ${server.bin}
`;
};

/** Barman by pg_basebackup. It can encrypt by GnuPG, which is left out here: that would only make it slower. */
export function barman(bench: Bench, program: string): Tool {
  const { dir } = bench;
  const file = join(dir, 'barman.conf');
  const [home, incoming, staging] = ['home', 'home/main/incoming', 'staging'].map(name => join(dir, name)) as [string, string, string];
  for (const path of [home, join(home, 'main'), incoming, staging]) {
    mkdirSync(path);
    const account = serverAccount();
    if (account) chownSync(path, account.uid, account.gid);
  }
  writeFileSync(file, config(bench));
  const run = (words: string) => asServer(`${program} -q -c ${file} ${words}`, { HOME: dir });
  const archived = () => run('archive-wal main');
  return {
    name: 'barman',
    how: 'zstd 3 by pg_basebackup, no encryption, one process, WAL in its archive',
    archive: `cp %p ${incoming}/.%f && mv ${incoming}/.%f ${incoming}/%f`,
    prepare: () => {
      run('switch-wal --force main');
      archived();
    },
    backup() {
      const used = run('backup main');
      archived();
      return used;
    },
    restore: to =>
      run(`restore --target-immediate --target-action promote --staging-path ${staging} --staging-location local main latest ${to}`),
    bytes: () => newestBytes(join(home, 'main/base')),
  };
}
