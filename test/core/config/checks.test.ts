import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { checkName, checksOf, expectation, judgeFound } from '../../../src/core/config/checks.ts';
import { checks as etcd } from '../../../src/providers/targets/etcd/checks.ts';
import { checks as postgres } from '../../../src/providers/targets/postgres/checks.ts';
import { checks as redis } from '../../../src/providers/targets/redis/checks.ts';
import { exerciseArgs, judgeExercise, checks as samba } from '../../../src/providers/targets/samba/checks.ts';
import { checks as volumes } from '../../../src/providers/targets/volumes/files/checks.ts';

const schema = checksOf(z.strictObject({ ...expectation, ask: z.string() }));

describe('what a check has to find', () => {
  it('is either a text or a least number', () => {
    expect(
      schema.parse([
        { ask: 'a', expect: 3 },
        { ask: 'b', atLeast: 2, name: 'n' },
      ]),
    ).toEqual([
      { ask: 'a', expect: '3' },
      { ask: 'b', atLeast: 2, name: 'n' },
    ]);
    expect(schema.parse(undefined)).toEqual([]);
    expect(schema.safeParse([{ ask: 'a' }]).success).toBe(false);
    expect(schema.safeParse([{ ask: 'a', expect: '1', atLeast: 1 }]).success).toBe(false);
    expect(schema.safeParse([{ ask: 'a', expect: '1', more: 1 }]).success).toBe(false);
  });

  it('a text is that very text, and a number is not smaller', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (found, expected) => {
        expect(judgeFound(found, { expect: expected }).state).toBe(found === expected ? 'ok' : 'fail');
      }),
    );
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (found, least) => {
        expect(judgeFound(String(found), { atLeast: least }).state).toBe(found >= least ? 'ok' : 'fail');
      }),
    );
    for (const found of ['', ' ', 'many', '1 2']) expect(judgeFound(found, { atLeast: 0 })).toMatchObject({ state: 'fail' });
  });

  it('has a name, or what it asks', () => {
    expect(checkName({ name: 'orders' }, 'select 1')).toBe('check: orders');
    expect(checkName({}, ' select\n  1')).toBe('check: select 1');
  });
});

describe("each kind's own questions", () => {
  it.each([
    ['postgres', postgres, { sql: 'select 1', expect: 1 }, [{ expect: 1 }, { sql: '\\! rm -r /', expect: 1 }, { sql: '', expect: 1 }]],
    [
      'redis',
      redis,
      { keys: '*', atLeast: 1 },
      [{ atLeast: 1 }, { keys: '*', command: ['GET', 'a'], atLeast: 1 }, { command: [], expect: 1 }],
    ],
    ['etcd', etcd, { prefix: '/', atLeast: 1 }, [{ atLeast: 1 }, { prefix: '', atLeast: 1 }, { prefix: '/', namespace: 'a', atLeast: 1 }]],
    [
      'etcd',
      etcd,
      { get: 'deployment/web', namespace: 'shop', jsonpath: '{.spec.replicas}', expect: 3 },
      [
        { get: '--raw', expect: 1 },
        { get: 'pods', prefix: '/', expect: 1 },
        { get: 'pods', jsonpath: '.a', expect: 1 },
      ],
    ],
    [
      'volumes',
      volumes,
      { glob: 'www/**/*.html', atLeast: 10, newest: '2d', bytes: 1000 },
      [{ atLeast: 1 }, { glob: '', atLeast: 1 }, { glob: 'a/../../etc/*', atLeast: 1 }, { glob: '*', newest: '2d' }],
    ],
    ['samba', samba, { ldap: '(cn=*)', atLeast: 1 }, [{ atLeast: 1 }, { ldap: '', atLeast: 1 }]],
  ] as const)('%s', (_, checks, good, bad) => {
    expect(checks.safeParse([good]).success).toBe(true);
    for (const each of bad) expect(checks.safeParse([each]).success).toBe(false);
  });

  it('samba: each search has an answer, and what was written has to be seen', () => {
    const all = samba.parse([
      { ldap: '(cn=a)', atLeast: 2 },
      { name: 'b', ldap: '(cn=b)', base: 'OU=x', expect: 1 },
    ]);
    expect(exerciseArgs(all, 'u')).toEqual(['--search', '[null,"(cn=a)"]', '--search', '["OU=x","(cn=b)"]', '--unit', 'u']);
    const states = (said: object) => judgeExercise(all, `warning\n${JSON.stringify(said)}\n`).map(({ name, state }) => `${name} ${state}`);
    expect(states({ found: [2, 1], read: 1 })).toEqual(['check: (cn=a) ok', 'check: b ok', 'write ok']);
    expect(states({ found: [1, 'no such object'], read: 0 })).toEqual(['check: (cn=a) fail', 'check: b fail', 'write fail']);
    expect(states({ found: [2], read: 1, error: 'it cannot be deleted' })).toEqual(['check: (cn=a) ok', 'check: b fail', 'write fail']);
    expect(() => judgeExercise(all, 'Traceback')).toThrow(/cannot be read: Traceback/);
  });
});
