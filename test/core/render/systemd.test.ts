import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { registry } from '../../../src/app.ts';
import { parseConfig, secretsIn } from '../../../src/core/config/index.ts';
import { fault } from '../../parses.ts';
import { CONFIG, systemd } from './world.ts';

const made = systemd();
const textOf = (path: string): string => made.files.find(each => each.path === path)!.text;
const unit = (name: string): string => textOf(`etc/systemd/system/${name}`);
const lines = (text: string, key: string): string[] =>
  text.split('\n').flatMap(line => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []));
const services = made.files.filter(({ path }) => path.endsWith('.service'));

describe('what is rendered for systemd', () => {
  it('has a service, a config and a timer for each job; a stream starts with the host', () => {
    const names = made.files.map(({ path }) => path);
    expect(names).toContain('usr/lib/sysusers.d/bkp.conf');
    for (const verb of ['backup', 'prune', 'verify', 'status'])
      expect(names).toEqual(
        expect.arrayContaining([
          `etc/bkp/units/bkp-${verb}-etcd-main.yaml`,
          `etc/systemd/system/bkp-${verb}-etcd-main.service`,
          `etc/systemd/system/bkp-${verb}-etcd-main.timer`,
        ]),
      );
    expect(names).not.toContain('etc/systemd/system/bkp-stream-postgres-app.timer');
    expect(lines(unit('bkp-stream-postgres-app.service'), 'WantedBy')).toEqual(['multi-user.target']);
    expect(lines(unit('bkp-stream-postgres-app.service'), 'Restart')).toEqual(['always']);
  });

  it('a missed run is made up for, at its own minute', () => {
    const timer = unit('bkp-backup-postgres-app.timer');
    expect(lines(timer, 'OnCalendar')).toEqual(['*-*-* 02:00:00 Europe/Berlin']);
    expect(lines(timer, 'Persistent')).toEqual(['true']);
    expect(timer).not.toContain('RandomizedDelay');
  });

  it('every command is one that the program takes, and ends at last', () => {
    for (const { text } of services) {
      const [exec] = lines(text, 'ExecStart');
      expect(fault(exec!.replaceAll('%%', '%').split(' ').slice(1))).toBeUndefined();
      expect(lines(text, text.includes('Type=oneshot') ? 'TimeoutStartSec' : 'RestartSec')).toHaveLength(1);
    }
  });

  it('no secret stands in a unit: each job has its own as credentials, and its config points at those', () => {
    const service = unit('bkp-prune-postgres-app.service');
    expect(lines(service, 'LoadCredential')).toEqual([
      'BKP_VERIFY_KEY:/etc/bkp/credentials/BKP_VERIFY_KEY',
      'signing.key:/etc/bkp/keys/signing.key',
      'S3_KEY:/etc/bkp/credentials/S3_KEY',
      'S3_SECRET:/etc/bkp/credentials/S3_SECRET',
    ]);
    const config = parse(textOf('etc/bkp/units/bkp-prune-postgres-app.yaml'));
    expect(Object.keys(config.environments.production.postgres)).toEqual(['app']);
    expect(config.environments.production.redis).toBeUndefined();
    expect(config.environments.production.stores.offsite.secretKey).toBe(
      '${file:/run/credentials/bkp-prune-postgres-app.service/S3_SECRET}',
    );
    const used = secretsIn(config).filter(({ path }) => !/identity|password/.test(path));
    expect(used.filter(({ name }) => !name.startsWith('/run/credentials/bkp-prune-postgres-app.service/'))).toEqual([]);
  });

  it('a file that is handed on unread is a credential too', () => {
    const { where } = parse(textOf('etc/bkp/units/bkp-backup-redis-far.yaml')).environments.production.redis.far;
    expect(where.ssh.identityFile).toBe('/run/credentials/bkp-backup-redis-far.service/id');
    expect(lines(unit('bkp-backup-redis-far.service'), 'LoadCredential')).toContain('id:/etc/bkp/ssh/id');
    expect(lines(unit('bkp-prune-redis-far.service'), 'LoadCredential')).not.toContain('id:/etc/bkp/ssh/id');
  });

  it('only what reads the files of its host is root, and may only read', () => {
    const root = services.filter(({ text }) => text.includes('User=root'));
    expect(root.map(({ path }) => path)).toEqual([
      'etc/systemd/system/bkp-backup-etcd-main.service',
      'etc/systemd/system/bkp-drill-samba-ad.service',
    ]);
    expect(lines(root[0]!.text, 'CapabilityBoundingSet')).toEqual(['CAP_DAC_READ_SEARCH']);
    for (const { text } of services) {
      expect(text).toContain('ProtectSystem=strict');
      if (!text.includes('User=root')) expect(lines(text, 'CapabilityBoundingSet')).toEqual(['']);
    }
  });

  it('one drill of all that can come back together, out of its own config; a DC by itself', () => {
    const [service, timer] = [unit('bkp-drill-full-dr.service'), unit('bkp-drill-full-dr.timer')];
    expect(lines(service, 'ExecStart')).toEqual([
      '/usr/local/bin/bkp --config /etc/bkp/units/bkp-drill-full-dr.yaml --env production drill full-dr',
    ]);
    expect(lines(timer, 'OnCalendar')).toEqual(['*-*-01 07:00:00 Europe/Berlin']);
    expect(
      lines(service, 'LoadCredential')
        .map(each => each.split(':')[0]!)
        .sort(),
    ).toEqual(['BKP_VERIFY_KEY', 'NEAR_KEY', 'NEAR_SECRET', 'S3_KEY', 'S3_SECRET', 'WALG_KEY', 'identity.txt', 'signing.key'].sort());
    expect(lines(service, 'Environment')).toContain('TMPDIR=/var/tmp');
    // Servers that are told no go on; one that is killed for a call is no finding about a backup.
    expect(lines(service, 'SystemCallErrorNumber')).toEqual(['EPERM']);
    const { production } = parse(textOf('etc/bkp/units/bkp-drill-full-dr.yaml')).environments;
    expect([Object.keys(production.postgres), Object.keys(production.redis), Object.keys(production.etcd)]).toEqual([
      ['app', 'old'],
      ['far'],
      ['main'],
    ]);
    expect([production.volumes, production.samba]).toEqual([undefined, undefined]);
    const dc = unit('bkp-drill-samba-ad.service');
    expect(lines(dc, 'RestrictNamespaces')).toEqual([]);
    expect(lines(dc, 'CapabilityBoundingSet')[0]).toContain('CAP_NET_ADMIN');
    const opening = services.filter(({ text }) => text.includes('LoadCredential=identity.txt'));
    expect(opening.map(({ path }) => path.split('/').at(-1))).toEqual(['bkp-drill-full-dr.service', 'bkp-drill-samba-ad.service']);
    expect(systemd(CONFIG, { drill: false }).files.filter(({ path }) => path.includes('drill'))).toEqual([]);
  });

  it('a config of a unit names nothing that is not in it', () => {
    const text = CONFIG.replace('stores: [near] }\n    redis', 'stores: [near], fullDr: { after: [postgres/app] } }\n    redis').replace(
      '    protected: true\n',
      '    protected: true\n    kit: { stores: { offsite: { accessKey: "${READ_KEY}" } } }\n',
    );
    for (const { path, text: config } of systemd(text).files.filter(each => each.path.endsWith('.yaml')))
      expect(() => parseConfig(config, path, registry)).not.toThrow();
  });

  it('files are read by root where they lie, at home too', () => {
    const text = CONFIG.replace(
      'volumes:\n',
      'volumes:\n      own: { engine: files, password: "${RESTIC}", stores: [offsite], paths: [/home/a], cache: /var/cache/restic }\n',
    );
    const made = systemd(text, {}, ({ name }) => name === 'own');
    const { text: backup } = made.files.find(({ path }) => path.endsWith('bkp-backup-volumes-own.service'))!;
    expect([lines(backup, 'User'), lines(backup, 'ProtectHome'), lines(backup, 'CapabilityBoundingSet')]).toEqual([
      ['root'],
      ['read-only'],
      ['CAP_DAC_READ_SEARCH'],
    ]);
    expect(lines(backup, 'ReadWritePaths')).toEqual(['-/var/cache/restic']);
    const { text: prune } = made.files.find(({ path }) => path.endsWith('bkp-prune-volumes-own.service'))!;
    expect(lines(prune, 'User')).toEqual(['bkp']);
    expect(lines(prune, 'LoadCredential').join()).toContain('RESTIC');
  });

  it('what is written to is named, and nothing else', () => {
    const paths = (name: string) => lines(unit(name), 'ReadWritePaths');
    expect(paths('bkp-backup-postgres-app.service')).toEqual(['-/srv/bkp']);
    expect(lines(unit('bkp-stream-postgres-app.service'), 'StateDirectory')).toEqual(['bkp/spool/app']);
    expect(paths('bkp-backup-etcd-main.service')).toEqual(['-/srv/bkp -/var/lib/rancher/k3s']);
    expect(paths('bkp-backup-samba-ad.service')).toEqual([]);
  });

  it('says what is to be typed', () => {
    expect(made.notes).toEqual(
      expect.arrayContaining([
        'install -m 600 FILE-WITH-IT /etc/bkp/credentials/S3_SECRET',
        'systemctl enable --now bkp-backup-etcd-main.timer',
        'systemctl enable --now bkp-stream-postgres-app.service',
      ]),
    );
  });

  it('a DC in the network of its own host: root with what samba-tool needs', () => {
    const dc = systemd(CONFIG.replace('samba:\n', 'samba:\n      dc: { stores: [offsite] }\n'), {}, ({ name }) => name === 'dc');
    const { text } = dc.files.find(({ path }) => path.endsWith('bkp-backup-samba-dc.service'))!;
    expect(lines(text, 'ReadWritePaths')).toEqual(['-/var/lib/samba -/var/cache/samba -/run/samba']);
    expect(lines(text, 'User')).toEqual(['root']);
  });
});

describe('what no unit can hold is refused', () => {
  it.each([
    [
      'a schedule of bkp alone',
      CONFIG.replace('volumes:\n', 'volumes:\n').replace('selector: backup=yes', 'selector: backup=yes, schedule: "0 0 L * *"'),
      {},
      /cannot be rendered/,
    ],
    ['a user with a space', CONFIG, { user: 'b kp' }, /is no name of a user/],
    ['a program that is no path', CONFIG, { program: 'bkp' }, /--program/],
    ['a path with a space', CONFIG.replace('/srv/bkp', '"/srv/my disk"'), {}, /path of store local/],
    ['a secret in the config itself', CONFIG.replace('"${S3_SECRET}"', 'hunter2'), {}, /stands in/],
    ['two credentials of one name', CONFIG.replace('/etc/bkp/pg/ca.crt', '/etc/bkp/pg/signing.key'), {}, /would both be/],
  ])('%s', (_, text, options, said) => {
    expect(() => systemd(text, options)).toThrow(said);
  });

  it('a pod without a kubeconfig', () => {
    const text = CONFIG.replace('name: cache', 'x');
    expect(() => systemd(text.replace('cache:', 'store:'))).toThrow(/has no home in which kubectl would find a kubeconfig/);
  });
});
