import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { differences } from '../../../../src/providers/targets/redis/baseline.ts';
import { recoveryPoint } from '../../../../src/providers/targets/redis/capture.ts';
import { readCommands } from '../../../../src/providers/targets/redis/feeder.ts';
import { decodeFormat, encodeFormat, reads, type Version } from '../../../../src/providers/targets/redis/formats.ts';
import { keyspace, parseInfo, parseSettings } from '../../../../src/providers/targets/redis/info.ts';
import { namesOf } from '../../../../src/providers/targets/redis/layout.ts';
import type { Keys, Rdb } from '../../../../src/providers/targets/redis/rdb/reader.ts';

describe('reads', () => {
  const redis = (version: string): Version => ({ flavor: 'redis', version });
  const valkey = (version: string): Version => ({ flavor: 'valkey', version });

  it.each([
    [redis('7.0.15'), 'REDIS10', 'yes'],
    [redis('7.0.15'), 'REDIS11', 'no'],
    [redis('7.2.4'), 'REDIS11', 'yes'],
    [redis('6.2.14'), 'REDIS10', 'no'],
    [redis('8.0.0'), 'REDIS12', 'yes'],
    [redis('8.0.0'), 'REDIS13', 'no'],
    [redis('9.1.0'), 'REDIS13', 'unknown'],
    [redis('9.1.0'), 'VALKEY80', 'no'],
    [valkey('9.1.2'), 'REDIS11', 'yes'],
    [valkey('9.1.2'), 'REDIS12', 'no'],
    [valkey('9.1.2'), 'VALKEY80', 'yes'],
    [valkey('8.1.0'), 'VALKEY80', 'no'],
    [valkey('10.0.0'), 'VALKEY81', 'unknown'],
  ])('%j and %s: %s', (server, format, answer) => {
    expect(reads(server, decodeFormat(format)!)).toBe(answer);
  });

  it('formats come back as they were recorded', () => {
    expect(encodeFormat(decodeFormat('VALKEY80')!)).toBe('VALKEY80');
    expect(decodeFormat('PGDMP')).toBeUndefined();
  });
});

describe('INFO and CONFIG GET', () => {
  it('values with colons, headings and carriage returns', () => {
    const info = parseInfo('# Server\r\nredis_version:7.0.15\r\nos:Linux: x\r\n\r\n# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=0\r\n');
    expect(Object.fromEntries(info)).toEqual({ redis_version: '7.0.15', os: 'Linux: x', db0: 'keys=3,expires=1,avg_ttl=0' });
    expect(keyspace(info)).toEqual({ 0: { keys: 3, expires: 1 } });
  });

  it('empty values', () => {
    expect(Object.fromEntries(parseSettings('save\n\ndir\n/data\n'))).toEqual({ save: '', dir: '/data' });
  });
});

describe('recoveryPoint', () => {
  const live = { askedAt: 1_000_000, serverNow: 5_000_700 };

  it('is when it was asked for, where the dump was begun after that', () => {
    expect(recoveryPoint(live, '5000', 0)).toEqual(new Date(1_000_000));
    expect(recoveryPoint(live, '5003', 0)).toEqual(new Date(1_000_000));
  });

  it('is earlier by as much as the dump is older, and as a replica lags behind', () => {
    expect(recoveryPoint(live, '4990', 0)).toEqual(new Date(990_000));
    expect(recoveryPoint(live, '5000', 7000)).toEqual(new Date(993_000));
  });
});

describe('differences', () => {
  const rdb = (databases: Record<number, Keys>): Rdb => ({
    magic: 'REDIS',
    version: 10,
    aux: new Map(),
    moduleTypes: [],
    functions: 0,
    bytes: 1,
    contentBytes: 1,
    checksum: 'right',
    databases: new Map(Object.entries(databases).map(([number, keys]) => [Number(number), keys])),
  });
  const keys = (n: number, more: Partial<Keys> = {}): Keys => ({ keys: n, expires: 0, expired: 0, fading: 0, ...more });

  it('what has no time has to be there, to the key', () => {
    expect(differences(rdb({ 0: keys(5) }), undefined, { 0: { keys: 5, expires: 0 } }, false)).toEqual([]);
    for (const found of [4, 6])
      expect(differences(rdb({ 0: keys(5) }), undefined, { 0: { keys: found, expires: 0 } }, false)).toHaveLength(1);
    expect(differences(rdb({ 0: keys(5), 3: keys(1) }), undefined, { 0: { keys: 5, expires: 0 } }, false)).toHaveLength(1);
    expect(differences(rdb({ 0: keys(5) }), undefined, { 0: { keys: 5, expires: 0 }, 9: { keys: 1, expires: 0 } }, false)).toHaveLength(1);
  });

  it('what is past its time must not be there, and what fades may be', () => {
    const dump = rdb({ 0: keys(10, { expires: 6, expired: 2, fading: 3 }) });
    const ok = [...Array(12).keys()].filter(n => differences(dump, undefined, { 0: { keys: n, expires: 0 } }, false).length === 0);
    expect(ok).toEqual([5, 6, 7, 8]);
    const late = [...Array(12).keys()].filter(n => differences(dump, undefined, { 0: { keys: n, expires: 0 } }, true).length === 0);
    expect(late).toEqual([4, 5, 6, 7, 8]);
    const lingers = [...Array(12).keys()].filter(
      n => differences(dump, undefined, { 0: { keys: n, expires: 0 } }, false, true).length === 0,
    );
    expect(lingers).toEqual([5, 6, 7, 8, 9, 10]);
  });
});

describe('commands of a replica', () => {
  const written = (words: readonly string[]): string =>
    `*${words.length}\r\n${words.map(word => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

  it('come whole out of any pieces, line breaks between them left out', () => {
    const command = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 5 }), fc.nat(200), (commands, cut) => {
        const bytes = Buffer.from(commands.map(each => `\n${written(each)}`).join(''));
        const first = readCommands(bytes.subarray(0, cut));
        const second = readCommands(Buffer.concat([first.rest, bytes.subarray(cut)]));
        expect([...first.commands, ...second.commands]).toEqual(commands);
      }),
    );
  });

  it('anything else is no protocol', () => {
    expect(() => readCommands(Buffer.from('GET / HTTP/1.1\r\n'))).toThrow(/no protocol/);
  });
});

it('names of files are taken from a backup only where they are names', () => {
  const aof = (more: Record<string, string>) =>
    namesOf({ databases: {}, counted: 'dump', functions: 0, modules: [], moduleTypes: [], aof: more });
  expect(aof({ dbfilename: 'cache.rdb', appenddirname: 'aof', appendfilename: 'log.aof' })).toEqual({
    dump: 'cache.rdb',
    aofDir: 'aof',
    aof: 'log.aof',
  });
  expect(aof({ dbfilename: '../x', appenddirname: '..', appendfilename: 'a"b' })).toEqual({
    dump: 'dump.rdb',
    aofDir: 'appendonlydir',
    aof: 'appendonly.aof',
  });
  expect(namesOf(undefined).dump).toBe('dump.rdb');
});
