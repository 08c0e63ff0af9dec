import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const src = resolve('src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'));
const roomOf = (file: string): string => (file.includes('/') ? file.slice(0, file.indexOf('/')) : 'main');

const importsOf = (file: string): string[] =>
  [...readFileSync(join(src, file), 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(match => match[1]!);

const roomsOf = (file: string): string[] =>
  importsOf(file)
    .filter(path => path.startsWith('.'))
    .map(path => roomOf(relative(src, resolve(src, dirname(file), path))));

/** Which rooms a room may look into, beside itself. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  core: [],
  flow: ['core'],
  ops: ['core', 'flow'],
  providers: ['core', 'flow'],
  system: ['core', 'flow'],
  report: ['core'],
  commands: ['core', 'ops', 'report', 'main'],
  main: ['core', 'flow', 'ops', 'providers', 'system', 'report', 'commands'],
};

describe('the house', () => {
  it.each(files)('%s imports only where imports may run', file => {
    const room = roomOf(file);
    const strangers = roomsOf(file).filter(other => other !== room && !MAY[room]?.includes(other));
    expect(strangers).toEqual([]);
  });

  it('has one file that starts processes', () => {
    expect(files.filter(file => importsOf(file).some(path => /^(node:)?child_process$|^execa$/.test(path)))).toEqual(['system/runner.ts']);
  });

  it('keeps I/O out of core', () => {
    const reaching = files.filter(file => file.startsWith('core/') && importsOf(file).some(path => /^node:(?!stream)/.test(path)));
    expect(reaching).toEqual([]);
  });
});
