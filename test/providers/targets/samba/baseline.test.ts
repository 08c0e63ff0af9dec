import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Baseline, lackingAccounts, lackingFiles, shrunk } from '../../../../src/providers/targets/samba/baseline.ts';
import { modeOf, sambaConfig } from '../../../../src/providers/targets/samba/config.ts';
import { readDbcheck } from '../../../../src/providers/targets/samba/dbcheck.ts';
import { refuseForeign } from '../../../../src/providers/targets/samba/identity.ts';
import type { Look } from '../../../../src/providers/targets/samba/look.ts';
import { readSaid } from '../../../../src/providers/targets/samba/said.ts';
import { isOlder } from '../../../../src/providers/targets/samba/version.ts';

const counts = fc.record({ users: fc.nat(1000), computers: fc.nat(1000), groups: fc.nat(1000) });
const baseline = (before: Baseline['before'], after: Baseline['after']): Baseline => ({
  mode: 'offline',
  dcs: [],
  sites: [],
  before,
  after,
  sysvol: { files: 0, policies: 0 },
  hardLinks: [],
  dns: true,
});

describe('accounts of a copy', () => {
  it('are enough when they are as many as were counted before or after', () => {
    fc.assert(
      fc.property(counts, counts, (before, after) => {
        expect(lackingAccounts(baseline(before, after), before)).toEqual([]);
        expect(lackingAccounts(baseline(before, after), after)).toEqual([]);
      }),
    );
  });

  it('one fewer than both is a fault', () => {
    const both = { users: 5, computers: 3, groups: 2 };
    expect(lackingAccounts(baseline(both, { ...both, users: 6 }), { users: 4, computers: 3, groups: 9 })).toEqual([
      '4 users, and 5 were counted when it was backed up',
    ]);
  });

  it('half of those of the backup before are told', () => {
    expect(shrunk({ users: 100, computers: 5, groups: 40 }, { users: 50, computers: 0, groups: 40 })).toEqual([
      'the domain has 50 users, and had 100 at the last backup',
    ]);
    expect(shrunk(undefined, { users: 0, computers: 0, groups: 0 })).toEqual([]);
  });
});

it('SA06: fewer files or policies of sysvol than on the DC are told, more are none of its business', () => {
  expect(lackingFiles({ files: 3, policies: 2 }, { files: 2, policies: 2 }, 'in the backup')).toEqual([
    'sysvol has 2 files in the backup, and 3 on the DC',
  ]);
  expect(lackingFiles({ files: 3, policies: 2 }, { files: 4, policies: 3 }, 'in the backup')).toEqual([]);
});

it('SA06: what samba-tool says of sysvol beside its exit code is a lack, the rest a warning, progress nothing', () => {
  const said = readSaid(`WARNING: no network interfaces found
INFO 2026-11-28 01:42:30,621 pid:6597 /x/domain_backup.py #277: Backing up sysvol files (via SMB)...
ERROR 2026-11-28 01:42:30,831 pid:6597 /x/ntacls.py #540: Failed to get the ntacl for ad: A required privilege is not held by the client.
WARNING 2026-11-28 01:42:30,831 pid:6597 /x/ntacls.py #542: The permissions for ad may not be restored correctly
WARNING: /x/y does not exist!
Backup succeeded.`);
  expect(said).toEqual({
    lacks: [
      '1 thing(s) of sysvol could not be read, the first: Failed to get the ntacl for ad: A required privilege is not held by the client.',
    ],
    warnings: ['/x/y does not exist!'],
  });
});

it('dbcheck is read by its last line', () => {
  expect(readDbcheck('Checking 10 objects\nChecked 10 objects (0 errors)\n')).toEqual({ objects: 10, errors: 0, first: undefined });
  expect(readDbcheck('WARNING: no network interfaces found\nERROR: a\nERROR: b\nChecked 10 objects (2 errors)')).toEqual({
    objects: 10,
    errors: 2,
    first: 'ERROR: a',
  });
  expect(readDbcheck('Checking 10 objects')).toBeUndefined();
});

it('a domain is told from another of the same name by SID and GUID', () => {
  const look = { sid: 'S-1', guid: 'g', realm: 'ad.x', netbios: 'AD' } as Look;
  const known = (domainSid: string) => [{ manifest: { identity: { domainSid, domainGuid: 'g', realm: 'ad.x' } }, stores: [] }] as never;
  expect(() => refuseForeign('ad', look, known('S-1'), false)).not.toThrow();
  expect(() => refuseForeign('ad', look, [], false)).not.toThrow();
  expect(() => refuseForeign('ad', look, known('S-2'), false)).toThrow(expect.objectContaining({ exit: 'refused' }));
  expect(() => refuseForeign('ad', look, known('S-2'), true)).not.toThrow();
});

it('a version is older by its numbers, not by its text', () => {
  expect(isOlder('4.9.1', '4.17.12-Debian')).toBe(true);
  expect(isOlder('4.17.0', '4.17.12')).toBe(false);
  expect(isOlder('4.20', '4.17')).toBe(false);
});

it('files of the DC are the default, a clone where an account is named', () => {
  expect(modeOf(sambaConfig.parse({}))).toBe('offline');
  expect(modeOf(sambaConfig.parse({ user: 'backup' }))).toBe('online');
  expect(modeOf(sambaConfig.parse({ user: 'backup', mode: 'offline' }))).toBe('offline');
});
