import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Machine, startMachine, stopMachines } from './docs/machine.ts';
import { commandsToRun, type Walk, walkPage } from './docs/page.ts';
import {
  between,
  CONFIG_FILE,
  keysBlock,
  keysOf,
  makePlatform,
  newestId,
  PASSWORD_FILE,
  shipAll,
  sql,
  startDebianPostgres,
  startStream,
  streams,
  withKeys,
} from './docs/world.ts';
import { cleanUp, waitFor } from './rig/index.ts';

afterAll(async () => {
  await stopMachines();
  await cleanUp();
});

const YES: [string, string][] = [['to go on', 'yes']];

const socketIn = (output: string): string => /\/tmp\/bkp-pg-\w+/.exec(output)?.[0] ?? '';

it('docs/how-to/first-backup.md', async () => {
  const machine = await startMachine();
  await startDebianPostgres(machine);
  let [keys, socket] = ['', ''];
  const walked = await walkPage('docs/how-to/first-backup.md', machine, {
    words: () => ({ '/tmp/bkp-pg-…': socket, '…': machine.exists(PASSWORD_FILE) ? machine.read(PASSWORD_FILE).trim() : '' }),
    before: {
      'bkp restore postgres app --latest --to /srv/restored': async () => {
        await machine.sh('install -d -o postgres /mnt/fast /mnt/archive');
        await sql(machine, "create tablespace fast location '/mnt/fast'");
        await sql(machine, "create tablespace archive location '/mnt/archive'");
        await machine.sh('bkp backup postgres');
      },
    },
    answers: { 'bkp restore': YES },
    after: {
      'bkp init': () => machine.sh('rm -r /etc/bkp/*'),
      'bkp keygen': output => {
        keys = keysBlock(output);
      },
      'bkp restore': output => {
        socket = socketIn(output);
      },
    },
    takes: async ({ language }, text) => {
      if (language === 'yaml') machine.write(CONFIG_FILE, withKeys(text, keys));
      if (language === 'sql') await sql(machine, text);
    },
    behind: { 'bkp stream': streams },
  });
  expect(walked).toEqual({ faults: [], ran: commandsToRun('docs/how-to/first-backup.md').length });
  await machine.stop();
});

const ENTRIES = `    redis:
      cache:
        host: 127.0.0.1
        fullDr: { to: /srv/redis }
    volumes:
      uploads:
        engine: files
        paths: [/srv/uploads]
        fullDr: { to: /srv/uploads-back }
`;

const PASSPHRASE = 'a long passphrase of a test';
const ASKED: [string, string][] = [['assphrase', PASSPHRASE]];
/** Prints the WAL of the newest lineage that is in offsite and not in local. */
const LACKING = `cd /mnt/offsite/bkp/production/postgres/app/wal
for file in $(ls | sort -V | tail -1)/*/*-*; do test -f "/srv/bkp/bkp/production/postgres/app/wal/$file" || echo "$file"; done`;
const KIT_ANSWERS = {
  'bkp kit export --out /media/usb/production.age --passphrase': [...ASKED, ['once more', PASSPHRASE] as [string, string]],
  'bkp kit check': ASKED,
};

describe('on a platform with PostgreSQL, Redis and files', () => {
  let machine: Machine;
  let stopStream: () => Promise<unknown>;
  let config: string;
  let id: string;
  /** The second before the table was lost. */
  let second: string;

  const walk = async (page: string, how: Walk = {}) =>
    expect(await walkPage(page, machine, how)).toEqual({ faults: [], ran: commandsToRun(page).length });

  /** What nearly every page shows. */
  const words = () => ({
    '20260115T020000Z-4f2a1c': id,
    '20261125T102659Z-0cb27a': id,
    '2026-01-15 14:30:00': second,
    '2026-11-25 10:27:02': second,
    '2026-11-25 10:24:16': second,
  });

  beforeAll(async () => {
    machine = await startMachine({ APP_PGPASSWORD: 'x', GITHUB_STEP_SUMMARY: '/tmp/summary' });
    await makePlatform(machine, ENTRIES);
    config = machine.read(CONFIG_FILE);
    await machine.sh('redis-server --daemonize yes --save "" --dir /tmp --logfile /tmp/redis.log >/dev/null');
    await machine.sh('mkdir -p /srv/uploads/docs; echo text >/srv/uploads/docs/a.txt; redis-cli set currency EUR >/dev/null');
    await sql(machine, 'create database shop');
    await sql(machine, 'create table orders as select n from generate_series(1, 1000) n', 'shop');
    stopStream = await startStream(machine);
    await machine.sh('bkp backup; bkp backup full-dr');
    id = await newestId(machine);
    second = await between(machine, 'create table more (n int)', 'drop table orders', 'shop');
    await shipAll(machine);
  });

  afterEach(() => machine.write(CONFIG_FILE, config));

  it('README.md', async () => {
    await walk('README.md', {
      words,
      codes: { 'bkp status': [0, 10] },
      before: { 'bkp stream': () => stopStream(), 'bkp restore': () => shipAll(machine) },
      behind: { 'bkp stream': streams },
      answers: { 'bkp restore': YES },
    });
    stopStream = await startStream(machine);
  });

  it('docs/how-to/restore-to-a-time.md', async () => {
    let socket = '';
    await walk('docs/how-to/restore-to-a-time.md', {
      words: () => ({ ...words(), '/tmp/bkp-pg-IuzKJd': socket }),
      answers: { 'bkp restore': YES },
      before: {
        'pg_ctlcluster 15 main stop': () => stopStream(),
        'bkp backup postgres app': async () => {
          stopStream = await startStream(machine);
        },
      },
      after: {
        'bkp restore postgres app --target-time "2026-11-25 10:27:02" --to /srv/copy --serve': output => {
          socket = socketIn(output);
        },
        pg_dump: async () => expect(await sql(machine, 'select count(*) from orders', 'shop')).toBe('1000'),
        'pg_ctlcluster 15 main start': async () => expect(await sql(machine, 'select count(*) from orders', 'shop')).toBe('1000'),
      },
    });
    id = await newestId(machine);
    second = await between(machine, 'create table after_restore (n int)', 'drop table orders', 'shop');
    await shipAll(machine);
  });

  it('docs/how-to/dropped-table.md', async () => {
    let socket = '';
    await walk('docs/how-to/dropped-table.md', {
      words: () => ({ ...words(), '/tmp/bkp-pg-IuzKJd': socket }),
      before: { 'bkp restore': () => shipAll(machine) },
      answers: { 'bkp restore': YES },
      after: {
        'bkp restore': output => {
          socket = socketIn(output);
        },
        pg_dump: async () => expect(await sql(machine, 'select count(*) from orders', 'shop')).toBe('1000'),
      },
    });
    await sql(machine, 'drop table orders', 'shop');
  });

  it('docs/how-to/from-pgbackrest.md', async () => {
    await walk('docs/how-to/from-pgbackrest.md', {
      before: { 'bkp stream': () => stopStream() },
      behind: { 'bkp stream': streams },
      takes: ({ language }, text) => (language === 'sql' ? sql(machine, text) : undefined),
    });
    stopStream = await startStream(machine);
  });

  it('docs/how-to/windows.md', async () => {
    await walk('docs/how-to/windows.md', { before: { 'bkp stream': () => stopStream() }, behind: { 'bkp stream': streams } });
    stopStream = await startStream(machine);
  });

  it('docs/how-to/drill.md', async () => {
    const checks = 'cache:\n        checks: [{ name: sessions, keys: "session:*", atLeast: 100 }]\n';
    machine.write(CONFIG_FILE, config.replace('cache:\n', checks));
    await walk('docs/how-to/drill.md', {
      words,
      codes: { 'bkp drill full-dr': [9], 'bkp drill full-dr --env staging': [0], 'bkp drill redis': [9] },
    });
  });

  it('docs/how-to/prove.md', () => walk('docs/how-to/prove.md'));

  it('docs/how-to/report.md', async () => {
    await walk('docs/how-to/report.md', { before: { 'bkp report --out /srv/www/dr': () => machine.sh('mkdir /srv/www') } });
    expect(machine.read('/tmp/summary')).toContain('postgres/app');
  });

  it('docs/how-to/cost.md', () => walk('docs/how-to/cost.md'));

  it('docs/how-to/retention.md', async () => {
    // Whatever the hour, and however slow the pages before: nothing is late, so nothing halts it.
    await machine.sh('bkp backup');
    await walk('docs/how-to/retention.md');
  });

  it('docs/how-to/full-dr.md', () => walk('docs/how-to/full-dr.md', { words }));

  it('docs/how-to/holds-and-locks.md', async () => {
    const lease = '/srv/bkp/bkp/production/leases/postgres/app/prune/1-8d0c3f6e0a1b2c3d.json';
    const record = { version: 1, owner: 'db1/4711', startedAt: '2026-01-15T02:00:00.000Z', state: 'holding' };
    await walk('docs/how-to/holds-and-locks.md', {
      words: () => ({ ...words(), '2027-01-01': `${new Date().getUTCFullYear() + 2}-01-01` }),
      before: {
        'bkp hold 20260115T020000Z-4f2a1c --reason "lawsuit"': () => machine.sh(`bkp hold ${id} --release`),
        'bkp locks release': async () => {
          machine.write(lease, JSON.stringify(record));
          await machine.sh(`touch -d '1 hour ago' ${lease}`);
        },
      },
      after: { 'bkp locks release': () => expect(machine.exists(lease)).toBe(false) },
    });
  });

  it('docs/how-to/monitoring.md', async () => {
    machine.write('/etc/hosts', `${machine.read('/etc/hosts')}\n127.0.0.1 pushgateway\n`);
    machine.start('exec prometheus-pushgateway --web.listen-address=127.0.0.1:9091');
    await waitFor(() => machine.sh('exec 3<>/dev/tcp/127.0.0.1/9091').then(() => true), 'the pushgateway', 100);
    await walk('docs/how-to/monitoring.md', {
      before: {
        'bkp status   ': () => machine.sh('mv /mnt/offsite /mnt/away'),
        'bkp --quiet status --textfile': () => machine.sh('mkdir -p /var/lib/prometheus/node-exporter'),
      },
      behind: { 'bkp status --listen': output => output.includes('127.0.0.1:9187') },
      codes: { 'bkp status': [10], 'bkp --quiet status': [0, 10], 'bkp status --listen': [0] },
      after: {
        'bkp status postgres app': () => machine.sh('mv /mnt/away /mnt/offsite'),
        'bkp status --listen': async () => {
          const { stdout } = await machine.sh('exec 3<>/dev/tcp/127.0.0.1/9187; printf "GET /metrics HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3');
          expect(stdout).toContain('bkp_up');
        },
        'bkp --quiet status --textfile': () => expect(machine.read('/var/lib/prometheus/node-exporter/bkp.prom')).toContain('bkp_store_up'),
      },
    });
  });

  it('docs/how-to/alerts.md', async () => {
    const answer = 'require("node:http").createServer((_, answer) => answer.end()).listen(8080, "127.0.0.1", () => console.log("up"))';
    const listener = machine.start(`exec /opt/bkp/node_modules/node/bin/node -e '${answer}'`);
    await waitFor(() => listener.output().stdout.includes('up'), 'who is notified', 10);
    const notify = '  production:\n    notify:\n      ops: { type: healthchecks, url: "http://127.0.0.1:8080/ping" }\n';
    machine.write(CONFIG_FILE, config.replace('  production:\n', notify));
    await machine.sh('mkdir -p /media/usb');
    await walk('docs/how-to/alerts.md', { codes: { 'bkp status': [0, 10] }, answers: KIT_ANSWERS });
    await machine.sh('rm /media/usb/*');
    expect(machine.exists('/root/drills/index.html')).toBe(true);
  });

  it('docs/how-to/configure.md', async () => {
    const faulty = `keys: { unencrypted: true }
environments:
  production:
    stores:
      local: { type: directory, path: /srv/bkp }
    prefx: x
    postgres:
      app: { engine: native, port: abc }
`;
    await walk('docs/how-to/configure.md', {
      takes: ({ line, language }, text) => {
        if (language === 'yaml' && line < 15) machine.write(CONFIG_FILE, withKeys(text, keysOf(machine)));
      },
      after: {
        'bkp config check': async () => {
          machine.write('/root/bkp.yaml', faulty);
          const { stdout } = await machine.sh('bkp config check 2>&1 || [ $? = 2 ]; rm bkp.yaml');
          return stdout;
        },
      },
    });
  });

  it('docs/how-to/keys.md', async () => {
    await walk('docs/how-to/keys.md');
    expect(machine.read('/etc/bkp/identities.txt').match(/^AGE-SECRET-KEY-/gm)).toHaveLength(2);
  });

  it('docs/how-to/kit.md', async () => {
    const { stdout } = await machine.sh('age-keygen 2>/dev/null | age-keygen -y');
    await machine.sh('mkdir -p /media/usb');
    await walk('docs/how-to/kit.md', {
      words: () => ({ 'age1…': stdout.trim(), '-d production.age': '-d /media/usb/production.age' }),
      before: {
        'bkp kit export --out /media/usb/production.age --recipient': () => machine.sh('mkdir /media/one; mv /media/usb/* /media/one'),
        'bkp kit open': () => machine.sh('cp /media/usb/production.age .'),
        'bkp --config bkp.yaml restore full-dr': () => machine.sh('cd /var/lib/postgresql/15; pg_ctlcluster 15 main stop; mv main away'),
        'umask 077': () => machine.sh('rm -r /root/kit; cd /var/lib/postgresql/15; mv away main; pg_ctlcluster 15 main start'),
      },
      after: {
        'bkp kit export --out /media/usb/production.age --recipient': () => machine.sh('mv /media/one/* /media/usb'),
        'age -d': () => expect(machine.read('/root/kit/RUNBOOK.md')).toContain('postgres'),
      },
      answers: {
        ...KIT_ANSWERS,
        'bkp kit open': ASKED,
        'age -d': [['', PASSPHRASE]],
      },
    });
  });

  it('docs/how-to/read-without-bkp.md', async () => {
    const lineage = JSON.parse(machine.read(`/srv/bkp/bkp/production/postgres/app/backups/${id}/manifest.json`).split('\n')[0]!).lineage;
    await walk('docs/how-to/read-without-bkp.md', {
      words: () => ({ ...words(), '7642011472967116994-4': lineage }),
      answers: { 'runuser -u postgres -- psql': [['', '\\q']] },
      after: {
        'grep -E': output => expect(output).toContain('recovery stopping'),
        'openssl pkeyutl': output => expect(output).toContain('Signature Verified Successfully'),
      },
    });
    await machine.sh('runuser -u postgres -- /usr/lib/postgresql/15/bin/pg_ctl -D /srv/hand -m immediate stop; rm -r /srv/hand /srv/wal');
  });

  it('docs/how-to/lost-store.md', async () => {
    await walk('docs/how-to/lost-store.md', {
      words,
      before: {
        'bkp list --from offsite': () => machine.sh('mv /srv/bkp /srv/lost'),
        'bkp restore': () => machine.sh('rm -rf /srv/copy'),
        // A backup ends once enough stores have its WAL: the stream may still be bringing it to the other one.
        'bkp verify': () => waitFor(async () => (await machine.sh(LACKING)).stdout === '', 'the WAL of offsite in local'),
      },
      answers: { 'bkp restore': YES },
    });
    id = await newestId(machine);
  });

  it('docs/how-to/archive-command.md', async () => {
    const segment = '000000010000000000000004';
    let archived = segment;
    await walk('docs/how-to/archive-command.md', {
      words: () => ({ STORE: '/srv/bkp', '20261125T102838Z-ac3b9f': id, [segment]: archived }),
      takes: async ({ language }, text) => {
        if (language !== 'sql') return;
        await sql(machine, text);
        if (!text.includes('archive_mode')) return;
        await machine.sh('chown -R postgres /etc/bkp /srv/bkp /mnt/offsite; pg_ctlcluster 15 main restart');
        archived = await sql(machine, 'select pg_walfile_name(pg_switch_wal())');
        await stopStream();
        await machine.sh('chown -R postgres /srv/bkp /mnt/offsite');
        await waitFor(async () => (await sql(machine, 'select last_archived_wal from pg_stat_archiver')) >= archived, 'the archiver', 100);
      },
      before: {
        'cd STORE': () =>
          machine.sh('cd /var/lib/postgresql/15; pg_ctlcluster 15 main stop; mv main primary; install -d -m 700 -o postgres main'),
      },
    });
    expect(await sql(machine, 'select pg_is_in_recovery()')).toBe('t');
  });

  it('docs/how-to/lost-cluster.md', async () => {
    await machine.sh('rm -rf /root/kit /root/production.age*');
    await machine.sh(`umask 077; echo '${PASSPHRASE}' >/tmp/passphrase`);
    await machine.sh("bkp kit export --out /root/production.age --passphrase-from '${file:/tmp/passphrase}'");
    // What read ahead for the standby goes with it, and takes its own files away meanwhile.
    await machine.sh('pg_ctlcluster 15 main stop; rm -rf /var/lib/postgresql/15/main /srv/bkp /etc/bkp/*');
    await walk('docs/how-to/lost-cluster.md', {
      answers: { 'bkp kit open': ASKED, 'bkp restore full-dr --latest --from offsite': YES },
    });
    expect(machine.exists('/var/lib/postgresql/15/main/PG_VERSION')).toBe(true);
    expect(machine.read('/srv/uploads-back/docs/a.txt')).toBe('text\n');
    expect(machine.exists('/srv/redis/dump.rdb')).toBe(true);
  });
});
