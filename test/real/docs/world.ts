import { chmodSync } from 'node:fs';
import type { Ended } from '../rig/child.ts';
import { waitFor } from '../rig/wait.ts';
import type { Machine } from './machine.ts';

/** The password of the role bkp, as the pages keep it. */
export const PASSWORD_FILE = '/etc/bkp/app.password';

export const CONFIG_FILE = '/etc/bkp/bkp.yaml';

/** Starts Debian's cluster `15 main` in a machine, on port 5432, as `pg_createcluster` makes it. */
export async function startDebianPostgres(machine: Machine): Promise<void> {
  await machine.sh('install -d -o postgres -g postgres -m 2775 /run/postgresql');
  await machine.sh('pg_createcluster 15 main --start -- --no-sync >/dev/null');
}

/** Starts a PostgreSQL 18 of these programs in a machine, on port 5432, with the role bkp. */
export async function startPostgres18(machine: Machine, programs: string, password: string): Promise<void> {
  const [data, as] = ['/var/lib/postgresql/18/main', 'runuser -u postgres --'];
  const options = '-c unix_socket_directories=/run/postgresql -c fsync=off';
  await machine.sh('install -d -o postgres -g postgres -m 2775 /run/postgresql; install -d -o postgres -m 700 /var/lib/postgresql/18/main');
  await machine.sh(`${as} ${programs}/initdb -D ${data} --auth-local=peer --auth-host=scram-sha-256 --no-sync >/dev/null`);
  await machine.sh(`${as} ${programs}/pg_ctl -D ${data} -w -o '${options}' -l /var/lib/postgresql/log start >/dev/null`);
  await sql(machine, `create role bkp with login replication password '${password}'`);
}

/** Runs SQL as superuser over the socket. @returns what psql prints, unaligned */
export async function sql(machine: Machine, text: string, database = 'postgres'): Promise<string> {
  const { stdout } = await machine.sh(`runuser -u postgres -- psql -XqAt -v ON_ERROR_STOP=1 -d ${database}`, text);
  return stdout.trim();
}

/** A text with its `keys:` in place of those that a page shows. */
export const withKeys = (yaml: string, keys: string): string => yaml.replace(/^keys:(.*\n)(?:[ \t]+.*\n)*/m, () => `${keys.trim()}\n`);

/** What `bkp keygen` printed as a block for the config. @throws when there is none */
export function keysBlock(output: string): string {
  const block = /^keys:.*\n(?:[ \t]+.*\n?)*/m.exec(output)?.[0];
  if (!block) throw new Error(`no keys block in ${output}`);
  return block;
}

/** A config of production and of a staging that rehearses from it, over two stores. `more` = entries beside postgres/app. */
export const platform = (keys: string, more = ''): string => `${keys.trim()}
environments:
  production:
    stores:
      local: { type: directory, path: /srv/bkp }
      offsite: { type: directory, path: /mnt/offsite }
    postgres:
      app:
        engine: native
        password: "\${file:${PASSWORD_FILE}}"
        spool: /var/lib/bkp/spool/app
        dataDir: /var/lib/postgresql/15/main
${more}  staging:
    restoresFrom: production
    stores:
      local: { type: directory, path: /srv/staging }
    postgres:
      app: { engine: native, password: "\${file:${PASSWORD_FILE}}", port: 5433 }
defaultEnv: production
`;

/** Makes keys, the password, the stores, the server with its role, and the config of the platform. */
export async function makePlatform(machine: Machine, more = ''): Promise<void> {
  await machine.sh(`mkdir -p /srv/bkp /mnt/offsite /srv/staging; umask 077; head -c 24 /dev/urandom | base64 > ${PASSWORD_FILE}`);
  const { stdout } = await machine.sh('bkp keygen --dir /etc/bkp/keys');
  machine.write(CONFIG_FILE, platform(keysBlock(stdout), more));
  await startDebianPostgres(machine);
  await sql(machine, `create role bkp with login replication password '${machine.read(PASSWORD_FILE).trim()}'`);
}

/** The keys block that the config of the platform has. */
export const keysOf = (machine: Machine): string => keysBlock(machine.read(CONFIG_FILE));

/** Whether the output of `bkp stream` says that it ships. */
export const streams = (output: string): boolean => output.includes('start   stream');

/** Starts `bkp stream postgres app` beside the pages. @returns what ends it as a service manager does */
export async function startStream(machine: Machine): Promise<() => Promise<Ended>> {
  const child = machine.start('echo $$ >/run/stream.pid; exec bkp stream postgres app');
  await waitFor(() => streams(child.output().stdout + child.output().stderr), 'the stream', 10);
  return async () => {
    await machine.sh('kill "$(cat /run/stream.pid)" || true');
    return child.ended;
  };
}

/** Closes the open segment and waits until the stores have it. */
export async function shipAll(machine: Machine): Promise<void> {
  const end = await sql(machine, 'select pg_switch_wal()');
  const shipped = `select restart_lsn >= '${end}' from pg_replication_slots where slot_name = 'bkp_app'`;
  await waitFor(async () => (await sql(machine, shipped)) === 't', 'the stores to have all WAL', 100);
}

/** A second between two states of a database: `make` comes to pass before it, `lose` after it. @returns it, in UTC */
export async function between(machine: Machine, make: string, lose: string, database: string): Promise<string> {
  await sql(machine, make, database);
  const { stdout } = await machine.sh('sleep 1.1; date -u "+%Y-%m-%d %H:%M:%S"; sleep 1.1');
  await sql(machine, lose, database);
  return stdout.trim();
}

/** The newest backup of an entry in the first store. */
export async function newestId(machine: Machine, entry = 'postgres/app'): Promise<string> {
  const { stdout } = await machine.sh(`ls /srv/bkp/bkp/production/${entry}/backups | tail -1`);
  return stdout.trim();
}

/** A service manager as far as `systemctl start|stop NAME` goes: a script for each word and service. */
export function standInSystemctl(machine: Machine, services: Record<string, { start: string; stop: string }>): void {
  const cases = Object.entries(services).flatMap(([name, { start, stop }]) => [
    `"start ${name}") ${start} ;;`,
    `"stop ${name}") ${stop} ;;`,
  ]);
  machine.write('/usr/local/sbin/systemctl', `#!/bin/sh\ncase "$1 $2" in\n${cases.join('\n')}\n*) exit 5 ;;\nesac\n`);
  chmodSync(machine.at('/usr/local/sbin/systemctl'), 0o755);
}
