import { describe, expect, test } from '@jest/globals';
import { entry, environment, findConfig } from '../../../src/core/config/index.ts';
import { BASE, parse } from './registry.ts';

const two = `${BASE}  staging:\n    stores: { s: { type: directory, path: /s } }\n`;

describe('environment', () => {
  test('the only one, the default one, else production', () => {
    expect(environment(parse(BASE.replace('  production:', '  test:'))).name).toBe('test');
    expect(environment(parse(`defaultEnv: staging\n${two}`)).name).toBe('staging');
    expect(environment(parse(two)).name).toBe('production');
  });

  test.each(['prod', 'constructor'])('%s is refused, naming the known ones', name => {
    expect(() => environment(parse(two), name)).toThrow(
      expect.objectContaining({ exit: 'usage', message: expect.stringContaining('production, staging') }),
    );
  });
});

describe('entry', () => {
  const env = environment(parse(`${BASE}      db2: { engine: native }\n`));

  test('the only one needs no name', () => {
    expect(entry(environment(parse(BASE)), 'postgres').name).toBe('app');
    expect(entry(env, 'postgres', 'db2').entry.engine).toBe('native');
  });

  test.each([[undefined], ['db3']])('%s of two is not found, naming the known ones', name => {
    expect(() => entry(env, 'postgres', name)).toThrow(
      expect.objectContaining({ exit: 'notFound', message: expect.stringContaining('app, db2') }),
    );
  });

  test('a kind without entries', () => {
    expect(() => entry(env, 'redis')).toThrow(expect.objectContaining({ exit: 'notFound' }));
  });
});

describe('findConfig', () => {
  const all = ['/flag', '/var', './bkp.yaml', '/x/bkp/bkp.yaml', '/etc/bkp/bkp.yaml'];
  const find = (there: string[], flag?: string, variable?: string) =>
    findConfig({ flag, env: { BKP_CONFIG: variable, XDG_CONFIG_HOME: '/x' }, exists: path => there.includes(path) });

  test('in the order: flag, variable, here, user, host', () => {
    expect(find(all, '/flag', '/var')).toBe('/flag');
    expect(find(all, undefined, '/var')).toBe('/var');
    expect(find(all)).toBe('./bkp.yaml');
    expect(find(all.slice(3))).toBe('/x/bkp/bkp.yaml');
    expect(find(all.slice(4))).toBe('/etc/bkp/bkp.yaml');
  });

  test('none: says where it looked; a named one is the only one looked at', () => {
    expect(() => find([])).toThrow('looked at ./bkp.yaml, /x/bkp/bkp.yaml, /etc/bkp/bkp.yaml');
    expect(() => find(all, '/none')).toThrow('there is no config at /none, which --config names');
  });
});
