import { spawnSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { confValue, pasted, shellCommand, shellWord } from '../../src/core/shell.ts';

/** What PostgreSQL does before it calls the shell. */
const substitute = (command: string, file: string, path: string): string =>
  command.replace(/%(.)/g, (_, letter) => (letter === 'f' ? file : letter === 'p' ? path : letter));
const words = (command: string): string[] =>
  spawnSync('sh', ['-c', `printf '%s\\0' ${command}`])
    .stdout.toString()
    .split('\0')
    .slice(0, -1);

describe('the command that PostgreSQL hands to a shell', () => {
  it('reaches the program word for word: spaces, quotes, percent signs, dollars', () => {
    const given = ['/opt/my tools/bkp', "it's", 'a"b', '100%', '%%', '%d', '$HOME', '`id`', '\\', 'new\nline', ''];
    expect(words(substitute(shellCommand([...given, '%f', '%p']), '00000001', 'pg_wal/x'))).toEqual([...given, '00000001', 'pg_wal/x']);
  });

  it('keeps any text in one word', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }).filter(text => !text.includes('\0')),
        text => {
          expect(words(substitute(shellWord(text), 'F', 'P'))).toEqual([text]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('quotes configuration values', () => {
    expect(confValue("a'b\\c")).toBe("'a''b\\\\c'");
  });

  it('is printed as a person would type it, and comes through a shell as it was', () => {
    expect(pasted('/srv/restored-1.2')).toBe('/srv/restored-1.2');
    for (const given of ["/srv/new d'ir", '100%', '~', '', '*']) expect(words(pasted(given))).toEqual([given]);
  });
});
