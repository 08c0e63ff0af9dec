import { describe, expect, it } from '@jest/globals';
import { registry } from '../../../src/app.ts';
import { parseConfig } from '../../../src/core/config/index.ts';
import { type RunbookInput, runbook } from '../../../src/core/kit/runbook.ts';
import { build } from '../../../src/main.ts';

const CONFIG = `
keys: { recipients: [age1qqq], trusted: [bkp-ed25519-x] }
environments:
  production:
    protected: true
    stores:
      near: { type: directory, path: /srv/bkp }
      far: { type: b2, region: eu-central-003, bucket: b, accessKey: "\${K}", secretKey: "\${S}" }
    etcd: { main: { flavor: k3s } }
    postgres: { app: { engine: native, dataDir: /var/lib/postgresql/18/main } }
    redis: { cache: {}, queue: { fullDr: { online: true } }, old: { fullDr: { skip: true } } }
    samba: { ad: { fullDr: { options: { host-ip: 10.0.0.9 } } } }
    volumes: { nodes: { engine: server-snapshot, token: "\${H}", selector: backup=yes } }
`;

const env = parseConfig(CONFIG, 'bkp.yaml', registry).environments['production']!;

function made(change: Partial<RunbookInput> = {}): string {
  const targets = Object.entries(env.targets).flatMap(([kind, entries]) =>
    Object.keys(entries).map(name => ({ kind, name, tools: [{ program: `tool-of-${kind}`, from: `package-${kind}` }] })),
  );
  const help = new Map([
    ['volumes/nodes', { place: ['--online', '--new-server', 'NAME'], steps: [] }],
    ['etcd/main', { steps: ['A step of etcd.'] }],
  ]);
  const meta: RunbookInput['meta'] = {
    version: 1,
    id: '20260115T020000Z-4f2a1c',
    env: 'production',
    madeAt: '2026-01-15T02:00:00.000Z',
    tool: 'bkp 1.2.3',
    opens: ['age1qqq'],
    sealedFor: ['age1qqq'],
    secrets: [{ path: 'environments.production.stores.far.secretKey', reference: '${S}', file: 'secrets/S' }],
    leftOut: [],
    storeKeys: { near: 'none', far: 'own' },
    targets,
    said: {},
    tokens: [],
  };
  return runbook({ meta, env, origin: env, help, included: [], ...change });
}

const restores = (text: string): string[] => text.split('\n').filter(line => line.startsWith('bkp ') && /restore (?!full-dr)/.test(line));

describe('the runbook', () => {
  it('restores in the order of the waves, each entry where the config or its kind says', () => {
    const start = 'bkp --config bkp.yaml --env production restore';
    expect(restores(made())).toEqual([
      `${start} etcd main --latest --to /var/lib/bkp-restored/etcd-main`,
      `${start} volumes nodes --latest --online --new-server NAME`,
      `${start} postgres app --latest --to /var/lib/postgresql/18/main`,
      `${start} samba ad --latest --to /var/lib/bkp-restored/samba-ad --host-ip 10.0.0.9 --server-name SERVER-NAME`,
      `${start} redis cache --latest --to /var/lib/bkp-restored/redis-cache`,
      `${start} redis queue --latest --online`,
    ]);
  });

  it('has no command that the program does not take', () => {
    const whole = made()
      .split('\n')
      .filter(line => line.includes(' restore full-dr '));
    expect(whole).toHaveLength(2);
    for (const line of [...whole, ...restores(made())]) {
      const words = line.split(' ').slice(1);
      const restore = build().commands.find(each => each.name() === 'restore')!;
      const { operands, unknown } = restore.parseOptions(words.slice(words.indexOf('restore') + 1));
      expect({ line, operands: operands.length, unknown }).toEqual({ line, operands: line.includes('full-dr') ? 1 : 2, unknown: [] });
    }
  });

  it('says what to install, which keys open which store, what comes back otherwise, and what to make anew', () => {
    const text = made();
    expect(text).toMatch(/^apt-get install age zstd tar package-etcd package-postgres/m);
    expect(text).toContain('| far | b2 | eu-central-003 b | keys of this kit alone |');
    expect(text).toContain('Store near is a directory of a host or a share: mount it at /srv/bkp');
    expect(text).toContain('redis/old comes back in another way');
    expect(text).toContain('type production');
    expect(text).toContain('A step of etcd.');
    expect(text).toContain('environments.production.stores.far.secretKey (`secrets/S`)');
    expect(text).not.toContain('kubectl');
  });

  it('puts files of the host back where the kit has them', () => {
    const text = made({ included: ['/etc/ssl/a b.pem'] });
    expect(text).toContain("install -D -m 600 'files/etc/ssl/a b.pem' '/etc/ssl/a b.pem'");
  });
});
