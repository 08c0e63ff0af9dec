import { describe, expect, it } from '@jest/globals';
import { namesIn } from '../../../../src/providers/targets/postgres/libraries.ts';

describe('namesIn', () => {
  it.each([
    ['', []],
    ['pg_stat_statements', ['pg_stat_statements']],
    ['auto_explain, "pg_cron",$libdir/timescaledb', ['auto_explain', 'pg_cron', '$libdir/timescaledb']],
  ])('%j', (setting, names) => {
    expect(namesIn(setting)).toEqual(names);
  });
});
