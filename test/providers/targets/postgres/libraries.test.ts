import { describe, expect, it } from '@jest/globals';
import { dirsIn, namesIn } from '../../../../src/providers/targets/postgres/libraries.ts';

describe('namesIn', () => {
  it.each([
    ['', []],
    ['pg_stat_statements', ['pg_stat_statements']],
    ['auto_explain, "pg_cron",$libdir/timescaledb', ['auto_explain', 'pg_cron', '$libdir/timescaledb']],
  ])('%j', (setting, names) => {
    expect(namesIn(setting)).toEqual(names);
  });
});

describe('dirsIn', () => {
  it.each([
    [undefined, ['/usr/share/15/extension']],
    ['$system', ['/usr/share/15/extension']],
    ['/opt/own:$system:', ['/opt/own/extension', '/usr/share/15/extension']],
  ])('%j', (setting, dirs) => {
    expect(dirsIn(setting, '$system', '/usr/share/15/extension', 'extension')).toEqual(dirs);
  });

  it('a placeholder within a directory', () => {
    expect(dirsIn('$libdir/more:/x', '$libdir', '/usr/lib/15')).toEqual(['/usr/lib/15/more', '/x']);
  });
});
