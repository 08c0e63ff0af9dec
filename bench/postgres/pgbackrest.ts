import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asServer, type Bench, newestBytes, type Tool } from './tool.ts';

const config = ({ server, dir }: Bench): string => `[global]
repo1-path=${dir}/repo
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=only-of-a-bench
compress-type=zst
compress-level=3
start-fast=y
log-path=${dir}
log-level-file=off
log-level-console=warn
lock-path=${dir}/lock
spool-path=${dir}/spool

[main]
pg1-path=${server.dataDir}
pg1-port=${server.port}
pg1-socket-path=${server.socketDir}
pg1-user=${server.superuser}
`;

/** pgBackRest with one process, which is its default; the backup waits until its WAL is archived. */
export function pgbackrest(bench: Bench, program: string): Tool {
  const file = join(bench.dir, 'pgbackrest.conf');
  writeFileSync(file, config(bench));
  const command = `${program} --config=${file} --stanza=main`;
  const run = (words: string) => asServer(`${command} ${words}`, { HOME: bench.dir });
  return {
    name: 'pgbackrest',
    how: 'zstd 3, AES-256-CBC, one process, WAL in its archive',
    archive: `${command} archive-push %p`,
    prepare: () => void run('stanza-create'),
    backup: () => run('--type=full backup'),
    increment: () => run('--type=incr backup'),
    restore: to => run(`--pg1-path=${to} --type=immediate --target-action=promote --archive-mode=off restore`),
    bytes: () => newestBytes(join(bench.dir, 'repo/backup/main')),
  };
}
