import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BkpError } from '../../../../src/core/errors.ts';
import { unsoundIn } from '../../../../src/providers/targets/postgres/proveAmcheck.ts';
import {
  type Baseline,
  compareBaseline,
  type Rows,
  readBaseline,
  tooFew,
} from '../../../../src/providers/targets/postgres/proveBaseline.ts';
import { few, judged } from '../../../../src/providers/targets/postgres/proveRun.ts';

const rows = (kept: number, change: Partial<Rows> = {}): Rows => ({ kept, bytes: kept * 8192, lost: 0, unknown: 0, shut: 0, ...change });

describe('whether a copy has too few rows', () => {
  it('DR01: not one byte where rows were is always too few, DR02: and none where none were never', () => {
    fc.assert(fc.property(fc.integer({ min: 1 }), recorded => tooFew(recorded, rows(0))));
    expect(tooFew(0, rows(0))).toBe(false);
  });

  it('an estimate that lags is within it; a table that was emptied but takes room is no schema alone', () => {
    expect(tooFew(1000, rows(950))).toBe(false);
    expect(tooFew(10_000, rows(5000))).toBe(false);
    expect(tooFew(40, rows(0, { bytes: 8192 }))).toBe(false);
    expect(tooFew(100_000, rows(40_000))).toBe(true);
  });

  it('more rows in the copy never make it worse', () => {
    const count = fc.integer({ min: 0, max: 1e9 });
    fc.assert(
      fc.property(count, count, count, (recorded, kept, more) => tooFew(recorded, rows(kept)) || !tooFew(recorded, rows(kept + more))),
    );
  });

  it('rows of unlogged tables are not missed', () => {
    expect(tooFew(5300, rows(300, { lost: 5000 }))).toBe(false);
    expect(tooFew(10_300, rows(300, { lost: 5000 }))).toBe(false);
    expect(tooFew(5300, rows(300))).toBe(true);
  });
});

describe('a baseline and its copy', () => {
  const made = (change: object = {}): Baseline =>
    readBaseline({
      databases: {
        app: {
          collation: 'C',
          contents: { schemas: ['public', 'other'], tables: 3, liveRows: 1000, extensions: { plpgsql: '1.0' }, ...change },
        },
        closed: { collation: 'C', unseen: 'no pg_hba.conf entry' },
      },
      roles: ['bkp', 'postgres'],
    })!;
  /** In the copy every database can be looked into. */
  const copied = (change?: object): Baseline => {
    const copy = made(change);
    copy.databases['closed'] = { ...copy.databases['app']! };
    return copy;
  };
  const counted = new Map([['app', rows(1000)]]);

  it('alike: nothing to say, also where the copy has more', () => {
    expect(compareBaseline(made(), copied(), counted)).toEqual({ faults: [], doubts: [] });
    expect(compareBaseline(made(), copied({ tables: 5, schemas: ['public', 'other', 'new'] }), counted).faults).toEqual([]);
  });

  it('what is missing is named', () => {
    const copy = copied({ tables: 2, schemas: ['public'], extensions: { plpgsql: '1.1' } });
    copy.roles = ['postgres'];
    delete copy.databases['closed'];
    copy.databases['app']!.collation = 'en_US';
    expect(compareBaseline(made(), copy, new Map([['app', rows(3)]])).faults).toEqual([
      'database "app" has collation en_US, and C was recorded',
      'database "app" lacks schema "other"',
      'database "app" has 2 tables, and 3 were recorded',
      'database "app" has extension plpgsql 1.1, and 1.0 was recorded',
      'database "app" has 3 rows, and about 1000 were recorded',
      'database "closed" is missing',
      'role "bkp" is missing',
    ]);
  });

  it('what cannot be known is a doubt and no fault', () => {
    const unlogged = compareBaseline(made(), copied(), new Map([['app', rows(3, { unknown: 1 })]]));
    expect(unlogged).toMatchObject({ faults: [], doubts: [{ text: expect.stringContaining('1 unlogged table') }] });
    const copy = copied();
    copy.databases['app'] = { unseen: 'locale is not there' };
    expect(compareBaseline(made(), copy, new Map())).toMatchObject({
      faults: [],
      doubts: [{ text: expect.stringContaining('locale is not there') }],
    });
  });

  it('none is none, and a number as text is a number', () => {
    expect(readBaseline({})).toBeUndefined();
    expect(made({ liveRows: '12' }).databases['app']?.contents?.liveRows).toBe(12);
  });
});

describe('what pg_amcheck says', () => {
  it('is told once for each relation, with its first complaint', () => {
    const lines = [
      'heap table "app.public.t", block 3, offset 7:',
      '    xmin 4026531839 precedes relation freeze threshold 0:1378',
      'heap table "app.public.t", block 4, offset 1:',
      '    line pointer is odd',
      'btree index "app.public.t_pkey":',
      '    ERROR:  heap tuple (1,2) from table "t" lacks matching index tuple within index "t_pkey"',
      '    HINT:  Retrying verification using the function bt_index_parent_check() might provide a more specific error.',
      'pg_amcheck: warning: something',
      '    else',
    ];
    expect(unsoundIn(lines).map(({ text }) => text)).toEqual([
      'heap table "app.public.t", block 3, offset 7: xmin 4026531839 precedes relation freeze threshold 0:1378 (and 1 more in it)',
      expect.stringMatching(/^btree index "app\.public\.t_pkey": ERROR: heap tuple \(1,2\) .* specific error\.$/),
    ]);
  });

  it('of many relations ten are named and the rest counted', () => {
    const texts = Array.from({ length: 25 }, (_, n) => `t${n}`);
    expect(few('x', texts)).toHaveLength(11);
    expect(few('x', texts).at(-1)?.text).toBe('and 15 more');
  });
});

describe('what an error means', () => {
  it('a full disk and a missing key prove nothing against the backup; damage does; silence is passed on', () => {
    const of = (exit: ConstructorParameters<typeof BkpError>[0], text: string) =>
      judged('x', new BkpError(exit, text, { next: 'do' })).state;
    expect(of('failed', 'postgres ended: PANIC: could not write: No space left on device')).toBe('unproven');
    expect(of('usage', 'no identity')).toBe('unproven');
    expect(of('failed', 'PANIC: could not locate a valid checkpoint record')).toBe('fail');
    expect(() => of('storeUnreachable', 'away')).toThrow('away');
    expect(() => judged('x', new TypeError('defect'))).toThrow('defect');
  });
});
