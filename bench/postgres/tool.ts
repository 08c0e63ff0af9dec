import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Postgres, serverAccount } from '../../test/real/rig/index.ts';
import { type Metered, metered } from '../metered.ts';

/** One program that backs a server up into a directory of its own. */
export interface Tool {
  name: string;
  /** Compression, encryption and processes, for the person who reads the figures. */
  how: string;
  /** What the server's archive_command has to run for it, with %p and %f. */
  archive?: string;
  /** Makes its repository, once; the server's archive_command is set already. */
  prepare?(): void;
  backup(): Metered;
  /** What changed since the backup before, where the tool is set up for that. */
  increment?(): Metered;
  /** Puts the newest backup back into an empty directory, which a server then starts on. */
  restore(to: string): Metered;
  /** Bytes that the newest backup takes, without what lies in an archive of WAL beside it. */
  bytes(): number;
}

/** What every tool is made of. `dir` is its own, and belongs to the server's account. */
export interface Bench {
  server: Postgres;
  dir: string;
}

/** A line of bash as the account of the server; pgBackRest and WAL-G read its files themselves. */
export function asServer(line: string, env: Record<string, string>): Metered & { stdout: string } {
  const account = serverAccount();
  const user = account ? `setpriv --reuid=${account.uid} --regid=${account.gid} --clear-groups ` : '';
  return metered(`cd / && ${user}${line}`, env);
}

const TICKS = 100;

/** Seconds of processors that a server's ended processes used: those of a base backup among them. */
export function endedCpu({ pid }: Postgres): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS;
}

const sizeOf = (dir: string): number =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);

/** Bytes of the files in the newest of the folders of `dir`: all these tools begin their names with the time. */
export function newestBytes(dir: string, prefix = ''): number {
  const names = readdirSync(dir, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && entry.name.startsWith(prefix) && /^\d/.test(entry.name.slice(prefix.length)))
    .map(({ name }) => name);
  return sizeOf(join(dir, names.sort().at(-1)!));
}
