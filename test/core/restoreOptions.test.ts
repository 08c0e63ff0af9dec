import { describe, expect, it } from '@jest/globals';
import { optionArgs, wrongOption } from '../../src/core/restoreOptions.ts';

describe('options of a restore in the config', () => {
  it.each([
    ['volumes', 'include', ['a', 'b'], undefined],
    ['volumes', 'include', 'a', undefined],
    ['samba', 'beside-live-dc', true, undefined],
    ['samba', 'beside-live-dc', 'yes', 'takes no value but true'],
    ['samba', 'host-ip', true, 'wants a value'],
    ['samba', 'host-ip', ['10.0.0.9'], 'takes one value, no list'],
    ['volumes', 'host-ip', '10.0.0.9', 'is no option of volumes'],
  ])('%s, %s: %j', (kind, name, value, wrong) => {
    expect(wrongOption(kind, name, value).wrong).toBe(wrong);
  });

  it('are of one engine of the kind, where another has no use for them', () => {
    expect(wrongOption('volumes', 'path', '/srv', 'server-snapshot').wrong).toBe('is an option of engine files alone');
    expect(wrongOption('volumes', 'path', '/srv', 'files').wrong).toBeUndefined();
  });

  it('are written as on the command line, a list once for each', () => {
    expect(optionArgs({ include: ['a b', 'c'], 'host-ip': '10.0.0.9', 'beside-live-dc': true })).toEqual([
      '--include',
      'a b',
      '--include',
      'c',
      '--host-ip',
      '10.0.0.9',
      '--beside-live-dc',
    ]);
  });
});
