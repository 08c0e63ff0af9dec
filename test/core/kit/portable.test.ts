import { describe, expect, it } from '@jest/globals';
import { parse as parseYaml } from 'yaml';
import { parseConfig } from '../../../src/core/config/index.ts';
import { type PortableOptions, portable } from '../../../src/core/kit/portable.ts';
import { BASE, registry } from '../config/registry.ts';

const made = (text: string, more: Partial<PortableOptions> = {}) =>
  portable(text, { envs: ['production'], storesOf: 'production', stores: {}, leave: () => false, ...more });

describe('the config of a kit', () => {
  it('keeps words and comments, and leads every reference to a file beside it', () => {
    const { text, secrets } = made(
      `# ours\n${BASE}      two: { engine: native, password: "\${PW}", host: "a\${file:/etc/bkp/host name}b" } # second\n`,
    );
    expect(text).toMatch(/^# ours\n/);
    expect(text).toContain('# second');
    const { postgres } = parseYaml(text).environments.production;
    expect(postgres.app.password).toBe('${file:./secrets/PW}');
    expect(postgres.two).toEqual({
      engine: 'native',
      password: '${file:./secrets/PW}',
      host: 'a${file:./secrets/file.etc.bkp.host.name}b',
    });
    expect(secrets.map(({ path, file, reference }) => [path, file, reference])).toEqual([
      ['environments.production.postgres.app.password', 'secrets/PW', '${PW}'],
      ['environments.production.postgres.two.password', 'secrets/PW', '${PW}'],
      ['environments.production.postgres.two.host', 'secrets/file.etc.bkp.host.name', '${file:/etc/bkp/host name}'],
    ]);
    expect(parseConfig(text, 'bkp.yaml', registry).environments['production']!.targets['postgres']!['app']!['password']).toBe(
      '${file:./secrets/PW}',
    );
  });

  it('gives two references that would have one name two files', () => {
    const { secrets } = made(
      `${BASE}      b: { engine: native, password: "\${file:/a/b}" }\n      c: { engine: native, password: "\${file:/a.b}" }\n`,
    );
    expect(secrets.map(({ file }) => file)).toEqual(['secrets/PW', 'secrets/file.a.b', 'secrets/file.a.b.2']);
  });

  it('has neither the signing key nor the directory for temporary files nor the settings of kits, and the identity beside it', () => {
    const keys = '{ recipients: [age1qqq], trusted: [bkp-ed25519-x], signing: bkp-signing-written-out, identity: AGE-SECRET-KEY-1X }';
    const whole = `temp: /var/tmp\n${BASE.replace(/keys: .*/, `keys: ${keys}`).replace('    stores:', '    kit: { maxAge: 1d }\n    stores:')}`;
    const { text } = made(whole);
    expect(text).not.toMatch(/signing|temp|maxAge|AGE-SECRET/);
    expect(parseYaml(text).keys.identity).toBe('${file:./identity.txt}');
  });

  it('takes the keys of the kit in place of those of the store', () => {
    const { text, secrets } = made(BASE, { stores: { offsite: { path: '${READING}' } } });
    expect(parseYaml(text).environments.production.stores.offsite).toEqual({ type: 'directory', path: '${file:./secrets/READING}' });
    expect(secrets[0]).toMatchObject({ path: 'environments.production.stores.offsite.path', reference: '${READING}' });
  });

  it('leaves what other environments refer to, what is said to be left, and literal ${', () => {
    const text = `${BASE}  staging:\n    stores: { x: { type: directory, path: "\${STAGING}" } }\n`.replace(
      '/srv/bkp',
      () => '"/srv/$${A}"',
    );
    const { text: out, secrets } = made(text, { leave: path => path.endsWith('.password') });
    expect(secrets).toEqual([]);
    expect(parseYaml(out)).toEqual(parseYaml(text));
  });

  it('resolves anchors, so that a change reaches only its own place', () => {
    const text = BASE.replace('{ type: directory, path: /srv/bkp }', '&one { type: directory, path: "${P}" }').replace(
      '{ type: directory, path: /mnt/offsite }',
      '*one',
    );
    const { stores } = parseYaml(made(text, { stores: { offsite: { path: '/mnt/read' } } }).text).environments.production;
    expect(stores).toEqual({
      local: { type: 'directory', path: '${file:./secrets/P}' },
      offsite: { type: 'directory', path: '/mnt/read' },
    });
  });
});

it.each([
  ['/etc/bkp/bkp.yaml', '${file:/etc/bkp/secrets/P}'],
  ['kit/bkp.yaml', '${file:./kit/secrets/P}'],
  ['./bkp.yaml', '${file:./secrets/P}'],
  ['bkp.yaml', '${file:./secrets/P}'],
  ['/a$&b/bkp.yaml', '${file:/a$&b/secrets/P}'],
])('a file beside the config %s is read from there', (file, reference) => {
  const text = BASE.replace('/srv/bkp', '"${file:./secrets/P}"').replace('/mnt/offsite', () => '"$${file:./x}"');
  const { stores } = parseConfig(text, file, registry).environments['production']!;
  expect([stores['local']!['path'], stores['offsite']!['path']]).toEqual([reference, '$${file:./x}']);
});
