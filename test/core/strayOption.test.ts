import { describe, expect, it } from '@jest/globals';
import { restoreOptions } from '../../src/core/restoreOptions.ts';
import { strayOption } from '../../src/core/strayOption.ts';

const text = (name: string, kind: string, more: { engine?: string; online?: boolean } = {}) =>
  strayOption(['latest', name, 'yes'], { kind, online: false, ...more })?.text;

describe('an option of a restore that would do nothing', () => {
  it.each([
    ['serve', 'etcd', {}, '--serve is an option of postgres, and says nothing to etcd'],
    ['serve', 'redis', {}, '--serve is an option of postgres, and says nothing to redis'],
    ['owner', 'samba', {}, '--owner is an option of etcd, postgres and redis, and says nothing to samba: a DC runs as root'],
    ['tablespace', 'volumes', {}, '--tablespace is an option of postgres, and says nothing to volumes'],
    ['online', 'full-dr', {}, '--online is an option of etcd, redis and volumes, and says nothing to full-dr'],
    ['restart', 'etcd', {}, '--restart is an option of full-dr, and says nothing to etcd'],
    ['host-ip', 'full-dr', {}, '--host-ip is an option of samba, and says nothing to full-dr'],
    ['host-ip', 'redis', {}, '--host-ip is an option of samba, and says nothing to redis'],
    ['owner', 'redis', { online: true }, '--owner is for a restore into a directory, and says nothing with --online'],
    ['name', 'etcd', { online: true }, '--name is for a restore into a directory, and says nothing with --online'],
    [
      'path',
      'volumes',
      { engine: 'server-snapshot' },
      '--path is an option of engine files, and says nothing to engine server-snapshot of volumes',
    ],
  ])('--%s of %s %j is refused', (name, kind, more, said) => {
    expect(text(name, kind, more)).toBe(said);
  });

  it('is none where it says something', () => {
    for (const [kind, options] of Object.entries(restoreOptions))
      for (const { flags, engine } of options)
        expect(text(/[a-z-]*[a-z]/.exec(flags)![0].replace(/^--/, ''), kind, engine ? { engine } : {})).toBeUndefined();
    for (const name of ['owner', 'tablespace', 'serve', 'force', 'from', 'target-time']) expect(text(name, 'postgres')).toBeUndefined();
    for (const name of ['skip', 'journal', 'restart', 'from', 'force']) expect(text(name, 'full-dr')).toBeUndefined();
    for (const kind of ['etcd', 'redis', 'volumes']) expect(text('online', kind, { online: true })).toBeUndefined();
  });
});
