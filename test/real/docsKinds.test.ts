import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startHetzner } from '../hetzner/double.ts';
import { aServer } from '../hetzner/state.ts';
import { TEST_KEYS } from '../walg/testKeys.ts';
import { type Machine, startMachine, stopMachines } from './docs/machine.ts';
import { commandsToRun, type Walk, walkPage } from './docs/page.ts';
import {
  between,
  CONFIG_FILE,
  keysBlock,
  makePlatform,
  newestId,
  PASSWORD_FILE,
  shipAll,
  sql,
  standInSystemctl,
  startPostgres18,
  startStream,
  withKeys,
} from './docs/world.ts';
import { binDir, cleanUp, etcdBin, K3s, root, startApiServer, startEtcd, startRedis, startVersity, waitFor } from './rig/index.ts';
import { startListener } from './rig/listener.ts';
import { startMail } from './rig/mail.ts';
import { provision } from './rig/samba.ts';
import { walg, walgPath } from './rig/walg.ts';
import { GRANTS } from './walgWorld.ts';

afterAll(async () => {
  await stopMachines();
  await cleanUp();
});

const YES: [string, string][] = [['to go on', 'yes']];

const walk = async (page: string, machine: Machine, how: Walk = {}, isLast = true) => {
  expect(await walkPage(page, machine, how)).toEqual({ faults: [], ran: commandsToRun(page).length });
  if (isLast) await machine.stop();
};

/** Makes keys, and a config of two directories with these entries of production. @returns the keys block */
async function configure(machine: Machine, entries: string): Promise<string> {
  const { stdout } = await machine.sh('mkdir -p /srv/bkp; bkp keygen --dir /etc/bkp/keys');
  const keys = keysBlock(stdout);
  const stores = 'environments:\n  production:\n    stores:\n      local: { type: directory, path: /srv/bkp }\n';
  machine.write(CONFIG_FILE, `${keys}${stores}${entries}`);
  return keys;
}

it('docs/how-to/redis.md', async () => {
  const machine = await startMachine();
  let first = '';
  const keys = await configure(machine, '');
  machine.write('/etc/bkp/redis.password', 'PASSWORD');
  machine.write('/etc/redis/users.acl', 'user default on nopass ~* &* +@all\n');
  await machine.sh('chown -R redis /etc/redis; rm -rf /var/lib/redis; install -d -o redis /run/redis /var/lib/redis');
  const settings = '--daemonize yes --save "" --repl-diskless-sync-delay 0 --aclfile /etc/redis/users.acl --logfile /run/redis/log';
  standInSystemctl(machine, {
    'redis-server': {
      start: `runuser -u redis -- redis-server --dir /var/lib/redis ${settings} >/dev/null; until redis-cli ping >/dev/null; do sleep 0.1; done`,
      stop: 'redis-cli shutdown nosave; while redis-cli ping >/dev/null 2>&1; do sleep 0.1; done',
    },
  });
  await machine.sh('systemctl start redis-server; redis-cli set colour blue >/dev/null');
  await walk('docs/how-to/redis.md', machine, {
    words: () => ({
      '20260115T020000Z-4f2a1c': first,
      ' identity.txt dump': ' /etc/bkp/keys/identity.txt dump',
      ' dump.rdb.zst.age.000': ` /srv/bkp/bkp/production/redis/cache/backups/${first}/dump.rdb.zst.age.000`,
    }),
    takes: async ({ language }, text) => {
      if (language === 'yaml') machine.write(CONFIG_FILE, withKeys(`keys:\n${text}`, keys));
      if (language === 'redis') await machine.sh('redis-cli | (! grep ERR)', `${text}\n`);
    },
    after: {
      'bkp backup redis cache': async () => {
        first = await newestId(machine, 'redis/cache');
      },
      'systemctl start': async () => expect((await machine.sh('redis-cli get colour')).stdout).toBe('blue\n'),
    },
    answers: { 'bkp restore redis cache --latest --online': YES, 'bkp restore redis cache --latest --to': YES },
  });
});

it('docs/how-to/etcd.md', async () => {
  const etcd = await startEtcd();
  await etcd.ask('put', '/registry/configmaps/default/1', 'value');
  const k3s = new K3s(etcd);
  await k3s.scheduled(new Date());
  const machine = await startMachine({}, 'shared');
  machine.take(k3s.bin, '/usr/local/bin');
  machine.take(k3s.dataDir, '/var/lib/rancher/k3s');
  machine.take(k3s.configDir, '/etc/rancher/k3s');
  for (const tool of ['etcd', 'etcdctl', 'etcdutl']) machine.take(join(etcdBin('3.6'), tool), `/usr/local/bin/${tool}`);
  await configure(machine, '    etcd:\n      main: {}\n');
  await walk('docs/how-to/etcd.md', machine, {
    words: () => ({ '2026-01-15 14:30:00': new Date().toISOString().slice(0, 19) }),
    before: {
      'bkp backup etcd main --adopt': async () => {
        await k3s.scheduled(new Date());
        machine.take(k3s.dataDir, '/var/lib/rancher/k3s');
      },
      'bkp restore etcd main --target-time': () => machine.sh('rm -rf /var/lib/etcd-restored'),
      'bkp restore etcd main --latest --to /var/lib/etcd --name': () => machine.sh('rm -rf /var/lib/etcd'),
    },
    answers: { 'bkp restore etcd main --latest --to': YES, 'bkp restore etcd main --target-time': YES },
  });
});

describe('on a domain', () => {
  let machine: Machine;

  beforeAll(async () => {
    const dc = await provision();
    machine = await startMachine();
    machine.take(dc.dir, '/srv/dc');
    const conf = machine.read('/srv/dc/etc/smb.conf').replaceAll(dc.dir, '/srv/dc');
    for (const path of ['/etc/samba/smb.conf', '/srv/dc/etc/smb.conf']) machine.write(path, conf);
    await configure(machine, '    samba:\n      ad: { dataDir: /var/lib/bkp/domain, dbcheck: false }\n');
    await machine.sh('samba-tool user create backup Passw0rd.x; bkp backup samba ad');
  });

  it('docs/how-to/samba.md', async () => {
    const piece = `/srv/bkp/bkp/production/samba/ad/backups/${await newestId(machine, 'samba/ad')}/domain.tar.zst.age.000`;
    await walk('docs/how-to/samba.md', machine, {
      words: () => ({
        'show NAME': 'show backup',
        ' identity.txt domain': ' /etc/bkp/keys/identity.txt domain',
        ' domain.tar.zst.age.000': ` ${piece}`,
      }),
      answers: { 'bkp restore': YES },
    });
  });
});

const VOLUMES = (endpoint: string): string => `    volumes:
      nodes: { engine: server-snapshot, token: "\${HCLOUD_TOKEN}", endpoint: "${endpoint}", selector: backup=yes }
`;

it('docs/how-to/volumes.md', async () => {
  const double = await startHetzner({ servers: [aServer(1234, { labels: { backup: 'yes' } })], images: [] });
  double.actionsEnd = { looks: 0, status: 'success' };
  const machine = await startMachine({ HCLOUD_TOKEN: double.project.token }, 'shared');
  await configure(machine, VOLUMES(double.endpoint));
  machine.write('/srv/uploads/.volume', '');
  machine.write('/srv/uploads/docs/a.txt', 'text');
  standInSystemctl(machine, { uploads: { start: 'touch /run/uploads', stop: 'rm -f /run/uploads' } });
  await walk('docs/how-to/volumes.md', machine, {
    answers: { 'bkp restore': YES },
    codes: { 'bkp coverage': [0, 10] },
    before: {
      'bkp keygen --derive': () => {
        const password = '"${file:/etc/bkp/keys/restic-uploads}"';
        const entry = `      uploads: { engine: files, paths: [/srv/uploads], marker: .volume, password: ${password} }\n`;
        machine.write(CONFIG_FILE, machine.read(CONFIG_FILE) + entry);
      },
    },
    after: {
      'bkp keygen --derive': output => machine.write('/etc/bkp/keys/restic-uploads', output, 0o600),
      "bkp restore volumes uploads --latest --to /srv/some --include 'docs": () =>
        expect(machine.read('/srv/some/docs/a.txt')).toBe('text'),
    },
  });
  await double.close();
});

it('docs/how-to/postgres-operators.md and docs/how-to/kubernetes.md', async () => {
  const etcd = await startEtcd();
  const api = await startApiServer(etcd.endpoint);
  const machine = await startMachine({ APP_PGPASSWORD: 'x', S3_KEY: 'x', S3_SECRET: 'x' }, 'shared');
  machine.take(api.kubeconfig, '/root/.kube/config');
  await configure(machine, '');
  const store = 'offsite: { type: hetzner, region: fsn1, bucket: b, accessKey: "${S3_KEY}", secretKey: "${S3_SECRET}" }';
  const entry = 'app: { engine: native, host: db.shop.svc, password: "${APP_PGPASSWORD}", spool: /var/spool/bkp, dataDir: /data/pg }';
  const config = machine.read(CONFIG_FILE).replace(/local: .*/, store);
  const native = `${config}    postgres:\n      ${entry}\n`;
  machine.write(CONFIG_FILE, native);
  await walk('docs/how-to/postgres-operators.md', machine, {}, false);
  await machine.sh('rm -r deploy');
  await walk('docs/how-to/kubernetes.md', machine, {
    before: {
      'bkp render kubernetes --lineage': () => {
        const walg = machine
          .read(CONFIG_FILE)
          .replace(/engine: native(.*)spool: [^,]+, /, 'engine: wal-g$1walg: { pgpKeyPath: /etc/bkp/walg.asc }, ');
        machine.write(CONFIG_FILE, walg);
      },
      'kubectl apply -k restore': () => api.kubectl('create', 'namespace', 'shop').catch(() => ''),
    },
    after: { 'bkp render kubernetes --lineage': () => machine.write(CONFIG_FILE, native) },
  });
});

it('docs/how-to/systemd.md', async () => {
  const machine = await startMachine();
  await configure(machine, '    etcd:\n      main: { flavor: etcd, endpoints: ["http://127.0.0.1:2379"] }\n');
  await walk('docs/how-to/systemd.md', machine, {
    after: { 'bkp render systemd': () => machine.sh('systemd-analyze verify /etc/systemd/system/bkp-*.timer') },
  });
});

it('docs/how-to/notify.md', async () => {
  const [web, mail] = [await startListener(), await startMail({ account: { user: 'bkp', password: 'of-mail' } })];
  const urls = Object.fromEntries(['SLACK_URL', 'HC_URL', 'NTFY_URL'].map(name => [name, `${web.address}/${name}`]));
  const machine = await startMachine({ ...urls, NTFY_TOKEN: 'token', MAIL_PASSWORD: 'of-mail' }, 'shared');
  const keys = await configure(machine, '');
  const stores = '  production:\n    stores:\n      local: { type: directory, path: /srv/bkp }\n';
  await walk('docs/how-to/notify.md', machine, {
    takes: ({ language, line }, text) => {
      if (language !== 'yaml' || line > 20) return;
      const here = text.replace('host: mail.example.org', `host: 127.0.0.1\n        port: ${mail.port}\n        tls: never`);
      machine.write(CONFIG_FILE, `${keys}${here.replace('  production:\n', stores)}\n`);
    },
  });
  expect(mail.mails).toHaveLength(1);
  expect(web.asked.length).toBeGreaterThan(3);
  await web.stop();
  await mail.stop();
});

/** A platform with the WAL-G that the tests have, or its stand-in. */
async function startWalgMachine(): Promise<Machine> {
  const machine = await startMachine();
  machine.take(join(walgPath(), 'wal-g'), '/usr/bin/wal-g');
  if (!walg.isReal) {
    const text = machine.read('/usr/bin/wal-g');
    const bundle = dirname(/import\("(.*)"\)/.exec(text)![1]!);
    machine.take(bundle, '/usr/lib/wal-g');
    await machine.sh('chmod -R a+rwX /usr/lib/wal-g');
    const program = text.replaceAll(bundle, '/usr/lib/wal-g').replaceAll(root, '/opt/bkp').replaceAll(binDir('18'), binDir('15'));
    machine.write('/usr/bin/wal-g', program, 0o755);
  }
  await machine.sh('install -d -m 777 /usr/bin/wal-g.tmp');
  await makePlatform(machine);
  return machine;
}

it('docs/how-to/from-wal-g.md', async () => {
  const machine = await startWalgMachine();
  machine.write('/etc/bkp/keys/walg.asc', TEST_KEYS.secretOne);
  const settings =
    'WALG_FILE_PREFIX=/srv/bkp/old/archive WALG_PGP_KEY_PATH=/etc/bkp/keys/walg.asc WALG_COMPRESSION_METHOD=zstd PGHOST=/var/run/postgresql';
  await machine.sh(`mkdir -p /srv/bkp/old/archive; chown -R postgres /etc/bkp /srv/bkp /mnt/offsite`);
  await sql(machine, GRANTS);
  await sql(machine, "alter system set archive_mode = 'on'");
  await sql(machine, `alter system set archive_command = '${settings} wal-g wal-push "%p"'`);
  await machine.sh('pg_ctlcluster 15 main restart');
  await machine.sh(`runuser -u postgres -- env ${settings} wal-g backup-push /var/lib/postgresql/15/main`);
  const keys = keysBlock(machine.read(CONFIG_FILE));
  await walk('docs/how-to/from-wal-g.md', machine, {
    takes: ({ language }, text) => {
      if (language === 'yaml') machine.write(CONFIG_FILE, `${keys}${text}\n`);
      return language === 'sql' ? sql(machine, text) : undefined;
    },
    answers: { 'bkp restore': YES },
  });
});

it('docs/how-to/wal-g.md', async () => {
  const machine = await startWalgMachine();
  const keys = keysBlock(machine.read(CONFIG_FILE));
  const directories = '      hetzner: { type: directory, path: /srv/bkp }\n      b2: { type: directory, path: /mnt/offsite }\n';
  await walk('docs/how-to/wal-g.md', machine, {
    // Its stores are buckets, to which one account writes; to these directories the archiver writes, as postgres.
    words: () => ({ 'bkp backup': 'runuser -u postgres -- bkp backup' }),
    takes: async ({ language }, text) => {
      if (language === 'yaml') {
        const here = text
          .replace(/ +hetzner: .*\n +b2: .*\n/, directories)
          .replace('"${APP_PGPASSWORD}"', `"\${file:${PASSWORD_FILE}}"`)
          .replace('/18/', '/15/');
        machine.write(CONFIG_FILE, `${keys}${here.replace(/^keys:.*\n/, '')}\n`);
      }
      if (language === 'sql') await sql(machine, text.replace(/^CREATE.*\n/, ''));
      if (language !== 'ini') return;
      for (const [, name, value] of text.matchAll(/^(\w+) = '?(.*?)'?(?: +#.*)?$/gm))
        if (!name!.startsWith('restore')) await sql(machine, `alter system set ${name} = '${value}'`);
      await machine.sh('chown -R postgres /etc/bkp /srv/bkp /mnt/offsite; pg_ctlcluster 15 main restart');
    },
    before: {
      'bkp restore postgres app --latest --to /srv/restored --tablespace': async () => {
        await machine.sh('rm -rf /srv/restored; install -d -o postgres /mnt/fast /mnt/cold');
        await sql(machine, "create tablespace fast location '/mnt/fast'");
        await sql(machine, "create tablespace cold location '/mnt/cold'");
        await machine.sh('runuser -u postgres -- bkp backup postgres app');
      },
    },
    after: {
      'gpg --export': () => machine.write('/etc/bkp/keys/walg.asc', walg.isReal ? machine.read('/root/walg.asc') : TEST_KEYS.secretOne),
    },
    // Every backup that is there is one of bkp; from-wal-g.md has one to adopt.
    codes: { 'bkp backup postgres app --adopt': [6] },
    answers: { 'bkp restore': YES },
  });
});

it('docs/how-to/from-scripts.md', async () => {
  const machine = await startMachine({ PGPASSWORD_OF_APP: 'x' });
  await machine.sh(
    'mkdir -p /srv/bkp /mnt/offsite; redis-server --daemonize yes --save "" --dir /tmp >/dev/null; redis-cli set a 1 >/dev/null',
  );
  await walk('docs/how-to/from-scripts.md', machine, { codes: { 'bkp doctor': [0, 10] } });
});

it('docs/how-to/incremental.md and docs/FORMAT.md', async () => {
  const machine = await startMachine();
  const programs = binDir('18');
  const volumes = '    volumes:\n      uploads: { engine: files, paths: [/srv/uploads] }\n';
  await machine.sh(`mkdir -p /srv/bkp /srv/uploads/docs; echo text >/srv/uploads/docs/a.txt; echo of-bkp >${PASSWORD_FILE}`);
  const keys = await configure(machine, volumes);
  await startPostgres18(machine, programs, 'of-bkp');
  await machine.sh('bkp backup volumes');
  let second = '';
  let stopStream = async (): Promise<unknown> => undefined;
  await walk(
    'docs/how-to/incremental.md',
    machine,
    {
      words: () => ({ '2026-01-15 14:30:00': second }),
      takes: async ({ language }, text) => {
        if (language === 'sql') await sql(machine, text);
        if (language !== 'yaml') return;
        const own = `engine: native\n    bin: [${programs}]\n    password: "\${file:${PASSWORD_FILE}}"\n    spool: /var/lib/bkp/spool/app`;
        const entry = text.replace('engine: native', () => own).replaceAll(/^/gm, '    ');
        machine.write(
          CONFIG_FILE,
          `${keys}environments:\n  production:\n    stores:\n      local: { type: directory, path: /srv/bkp }\n${volumes}${entry}\n`,
        );
      },
      before: {
        'bkp doctor postgres app': async () => {
          stopStream = await startStream(machine);
          await machine.sh('bkp backup postgres app');
        },
        'bkp restore': async () => {
          second = await between(machine, 'create table kept (n int)', 'drop table kept', 'postgres');
          await shipAll(machine);
        },
      },
      after: { 'bkp list postgres app': output => expect(output).toContain('incremental') },
      answers: { 'bkp restore': YES },
    },
    false,
  );
  await machine.sh('rm -r /srv/restored; bkp backup postgres app; bkp backup postgres app');
  await walkFormat(machine, programs, stopStream);
});

/** Goes through the page on stores that hold a chain of three increments, an open segment and a backup of files. */
async function walkFormat(machine: Machine, programs: string, stopStream: () => Promise<unknown>): Promise<void> {
  const store = '/srv/bkp/bkp/production/postgres/app';
  const newest = async (pattern: string): Promise<string> => (await machine.sh(`ls -d ${pattern} | tail -1`)).stdout.trim();
  const chain = (await machine.sh(`ls ${store}/backups | tail -3`)).stdout.trim().split('\n');
  const [segment, uploads] = [await newest(`${store}/wal/*/*/*.age`), await newestId(machine, 'volumes/uploads')];
  let snapshot = '';
  await machine.sh('bkp keygen --derive volumes/uploads >/etc/bkp/keys/restic-uploads');
  await sql(machine, 'create table of_the_open_segment as select 1 n');
  const open = await sql(machine, 'select pg_walfile_name(pg_current_wal_lsn())');
  const chunks = await waitFor(() => newest(`${store}/wal/*/*/${open}/`), 'a chunk of the open segment');
  // It would join them, or make a whole segment of them, while they are read.
  await stopStream();
  await walk('docs/FORMAT.md', machine, {
    words: () => ({
      'STORE/bkp/production/postgres/app/wal/7400000000000000000-1/00000001/00000001000000000000000B': chunks,
      STORE: '/srv/bkp',
      ' identity.txt': ' /etc/bkp/keys/identity.txt',
      'WAL-OBJECT': segment,
      SNAPSHOT: snapshot,
      '20260115T030000Z-4f2a1c': uploads,
      '20260115T020000Z-4f2a1c': chain[0]!,
      pg_combinebackup: `${programs}/pg_combinebackup`,
      pg_verifybackup: `${programs}/pg_verifybackup`,
    }),
    before: {
      'cd STORE/bkp/production/postgres/app/wal': () => machine.sh('mkdir -p /that/directory'),
      pg_combinebackup: async () => {
        await machine.sh('rm -r /srv/restored');
        for (const [n, dir] of ['full', 'second', 'third'].entries()) {
          const pieces = `cat ${store}/backups/${chain[n]}/base.tar.zst.age.*`;
          await machine.sh(`mkdir /srv/${dir}; ${pieces} | age -d -i /etc/bkp/keys/identity.txt | zstd -d | tar -x -C /srv/${dir}`);
        }
      },
      'restic -r STORE/bkp/production/volumes/uploads/restic restore': () => machine.sh('rm -r /srv/restored'),
    },
    after: {
      'restic -r STORE/bkp/production/volumes/uploads/restic snapshots': output => {
        snapshot = /^([0-9a-f]{8}) /m.exec(output)![1]!;
      },
    },
  });
}

it('docs/how-to/immutability.md', async () => {
  const [s3, redis] = [await startVersity(), await startRedis()];
  const machine = await startMachine({ B2_KEY: s3.accessKey, B2_SECRET: s3.secretKey }, 'shared');
  const keys = await configure(machine, '');
  const bucket = await s3.bucket({ lock: true });
  await walk('docs/how-to/immutability.md', machine, {
    takes: (_, text) => {
      const here = text
        .replace('type: b2', `type: s3\n    endpoint: ${s3.endpoint}`)
        .replace('eu-central-003', s3.region)
        .replace('example-bkp-offsite', bucket)
        .replaceAll(/^/gm, '    ');
      const entry = `    redis:\n      cache: ${JSON.stringify(redis.entry())}\n`;
      machine.write(CONFIG_FILE, `${keys}environments:\n  production:\n${here}\n${entry}`);
    },
  });
});
