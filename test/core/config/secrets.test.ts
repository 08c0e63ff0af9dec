import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { missingSecrets, redactor, resolveSecrets, secretsIn, withoutSecrets } from '../../../src/core/config/index.ts';

const source = (env: Record<string, string> = {}, files: Record<string, string> = {}) => ({
  env,
  readFile(path: string): string {
    if (files[path] === undefined) throw new Error('no such file');
    return files[path];
  },
});

describe('resolveSecrets', () => {
  test('what has no ${ comes out byte-identical', () => {
    const tree = fc.jsonValue().filter(value => !JSON.stringify(value).includes('${') && !JSON.stringify(value).includes('__proto__'));
    fc.assert(fc.property(tree, value => expect(resolveSecrets(value, 'x', source())).toEqual(value)));
  });

  test('a value comes out byte-identical, whatever is in it', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), value => expect(resolveSecrets('${A}', 'x', source({ A: value }))).toBe(value)));
  });

  test("CF01: p@s%41'#$x comes through", () => {
    expect(resolveSecrets({ password: '${PW}' }, 'x', source({ PW: "p@s%41'#$x" }))).toEqual({ password: "p@s%41'#$x" });
    expect(resolveSecrets('$& $1 ${PW}', 'x', source({ PW: '$& ${PW}' }))).toBe('$& $1 $& ${PW}');
  });

  test.each([
    ['key\n', 'key'],
    ['key\n\n', 'key\n'],
    ['key\r\n', 'key'],
    [' key ', ' key '],
    ['', ''],
  ])('CF03: of a file %j comes %j', (text, value) => {
    expect(resolveSecrets('${file:/k}', 'keys.signing', source({}, { '/k': text }))).toBe(value);
  });

  test('$${ is a literal ${', () => {
    expect(resolveSecrets('$${A} ${A} $A $$', 'x', source({ A: 'a' }))).toBe('${A} a $A $$');
  });

  test('what is missing is named with its setting, all at once', () => {
    const tree = { password: '${PW}', list: ['${file:/none}'] };
    expect(() => resolveSecrets(tree, 'environments.p.postgres.app', source())).toThrow(
      expect.objectContaining({
        exit: 'usage',
        message: expect.stringMatching(
          /postgres\.app\.password needs the variable PW: .*\n.*app\.list\.0 needs the file \/none: no such file/,
        ),
      }),
    );
  });

  test('only the subtree that is asked for is read', () => {
    const tree = { a: { password: '${A}' }, b: { password: '${B}' } };
    expect(resolveSecrets(tree.a, 'a', source({ A: 'x' }))).toEqual({ password: 'x' });
    expect(missingSecrets(tree, source({ A: 'x' }))).toEqual(['b.password needs the variable B: it is not set']);
    expect(secretsIn(tree)).toHaveLength(2);
  });

  test("an inherited property of the environment's object is no variable", () => {
    expect(() => resolveSecrets('${constructor}', 'x', source())).toThrow('constructor');
  });
});

describe('CF04: what is shown', () => {
  test('every resolved value is redacted, as text, in an address and in JSON', () => {
    const seen = new Set<string>();
    const redact = redactor(seen);
    const onSecret = (value: string) => void seen.add(value);
    resolveSecrets({ a: '${A}', password: 'written out' }, 'x', { ...source({ A: 'p@s"word' }), onSecret });
    const text = ['p@s"word', 'p%40s%22word', '{"a":"p@s\\"word"}', 'written out'].map(redact);
    expect(text).toEqual(['[redacted]', '[redacted]', '{"a":"[redacted]"}', '[redacted]']);
  });

  test.each(['user', 'host', 'path', 'database', 'bucket', 'owner'])('an entry called %s holds secrets as any other', name => {
    const tree = { [name]: { password: 'pw ${A}', words: ['tell', '--with=${B}'], env: { path: '${C}' }, headers: { host: '${D}' } } };
    const env = { A: 'aaaa', B: 'bbbb', C: 'cccc', D: 'dddd' };
    const seen = new Set<string>();
    resolveSecrets(tree, 'environments.p.postgres', { ...source(env), onSecret: value => void seen.add(value) });
    expect([...seen].sort()).toEqual(['aaaa', 'bbbb', 'cccc', 'dddd', 'pw aaaa']);
    const kept = resolveSecrets(tree, 'environments.p.postgres', { ...source(), keep: true });
    expect(kept).toEqual(tree);
  });

  test('what says where something is may be shown, one of a list too', () => {
    const tree = { path: '${A}', bin: ['${A}/bin'], where: { ssh: { host: '${A}', user: '${A}' } } };
    const seen = new Set<string>();
    resolveSecrets(tree, 'environments.p.postgres.app', { ...source({ A: '/srv' }), onSecret: value => void seen.add(value) });
    expect(resolveSecrets(tree, 'x', { ...source({ A: '/srv' }), keep: true })).toMatchObject({ path: '/srv', bin: ['/srv/bin'] });
    expect([...seen]).toEqual([]);
  });

  test('the longest goes first, and short values are left', () => {
    expect(redactor(['pass', 'password', 'ab'])('password pass ab')).toBe('[redacted] [redacted] ab');
  });

  test('references stay, written-out secrets do not', () => {
    const tree = { password: '${PW}', token: 'abc', identity: 'x${A}', signing: '$${A}', user: 'bkp' };
    expect(withoutSecrets(tree)).toEqual({
      password: '${PW}',
      token: '[redacted]',
      identity: '[redacted]',
      signing: '[redacted]',
      user: 'bkp',
    });
  });
});
