import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { keyOf, rangeOf } from '../../../../src/providers/targets/volumes/files/bridge.ts';
import { judge } from '../../../../src/providers/targets/volumes/files/cluster.ts';
import { filesConfig } from '../../../../src/providers/targets/volumes/files/config.ts';
import { jobOf } from '../../../../src/providers/targets/volumes/files/job.ts';
import { isMountPoint } from '../../../../src/providers/targets/volumes/files/paths.ts';
import { isSince, words } from '../../../../src/providers/targets/volumes/files/program.ts';
import { reachOf } from '../../../../src/providers/targets/volumes/files/reach.ts';
import { nanosecondsOf, permissionsOf, saidOf } from '../../../../src/providers/targets/volumes/files/said.ts';

describe('what restic says', () => {
  it('is read in the words of 0.14 and of later ones', () => {
    expect(saidOf('{"message_type":"error","error":{"Op":"open","Path":"/a","Err":13},"during":"archival","item":"/a"}')).toEqual({
      is: 'error',
      path: '/a',
      text: 'open /a (errno 13)',
      gone: false,
    });
    expect(saidOf('{"message_type":"error","error":{"message":"lstat /a: no such file or directory"},"item":"/a"}')).toMatchObject({
      gone: true,
    });
    expect(saidOf('{"message_type":"error","error":{"Op":"lstat","Path":"/a","Err":2},"item":"/a"}')).toMatchObject({ gone: true });
    expect(saidOf('Fatal: nothing')).toEqual({ is: 'text', text: 'Fatal: nothing' });
  });

  it('is told by its causes, not by what comes of them or by how often it was tried', () => {
    const restored = [
      'restoring <Snapshot 3f284a56 of [/d]> to /o',
      'ignoring error for /d/big: ciphertext verification failed',
      'ignoring error for /d/big: UtimesNano: no such file or directory',
      'Fatal: There were 2 errors',
    ];
    expect(words(restored)).toBe('ignoring error for /d/big: ciphertext verification failed | There were 2 errors');
    const checked = [
      'Load(<data/66>, 300093, 0) returned error, retrying after 2s: EOF',
      'pack 66 failed to download: EOF',
      'Fatal: repository contains errors',
    ];
    expect(words(checked)).toBe('pack 66 failed to download: EOF | repository contains errors');
    expect(words([checked[0]!])).toBe(checked[0]);
  });

  it('has times to the nanosecond, in any zone', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), fc.integer({ min: 0, max: 999_999_999 }), (seconds, ns) => {
        const text = `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(ns).padStart(9, '0')}Z`;
        expect(nanosecondsOf(text)).toBe(BigInt(seconds) * 1_000_000_000n + BigInt(ns));
      }),
    );
    expect(nanosecondsOf('1970-01-01T02:00:00+02:00')).toBe(0n);
  });

  it('has modes in the bits of Go', () => {
    expect(permissionsOf(2151678440)).toBe(0o2750);
    expect(permissionsOf(2148532735)).toBe(0o1777);
  });

  it.each([
    ['0.14.0', '0.15.0', false],
    ['0.15.0', '0.15.0', true],
    ['0.18.1', '0.15.0', true],
    ['1.0.0', '0.15.0', true],
  ])('%s is since %s: %s', (version, least, is) => expect(isSince(version, least)).toBe(is));
});

describe('where a repository lies', () => {
  it('is told without a secret in an argument', () => {
    const access = {
      kind: 's3',
      endpoint: 'https://s3',
      bucket: 'b',
      region: 'r',
      accessKey: 'AK',
      secretKey: 'SK',
      pathStyle: true,
    } as const;
    const { repository, env, args } = reachOf(access, 'p/restic', { ca: '/ca' });
    expect(repository).toBe('s3:https://s3/b/p/restic');
    expect(env).toEqual({ AWS_ACCESS_KEY_ID: 'AK', AWS_SECRET_ACCESS_KEY: 'SK', AWS_DEFAULT_REGION: 'r' });
    expect(args).toEqual(['-o', 's3.bucket-lookup=path', '--cacert', '/ca']);
    expect(reachOf({ kind: 'directory', path: '/s' }, 'p/restic').repository).toBe('/s/p/restic');
  });

  it('is shown by the bridge under keys of restic only', () => {
    const name = 'ab'.repeat(32);
    expect(keyOf('p', 'data', name)).toBe(`p/data/ab/${name}`);
    expect(keyOf('p', 'config', '')).toBe('p/config');
    for (const [type, each] of [
      ['data', '../x'],
      ['other', name],
      ['keys', 'x'],
    ] as const)
      expect(keyOf('p', type, each)).toBeUndefined();
    expect([rangeOf('bytes=2-5', 100), rangeOf('bytes=2-', 100), rangeOf('bytes=90-200', 100), rangeOf(undefined, 9)]).toEqual([
      { from: 2, to: 6 },
      { from: 2, to: 100 },
      { from: 90, to: 100 },
      undefined,
    ]);
  });
});

it('VH08: what is a mount point is told by its file system', async () => {
  expect([await isMountPoint('/'), await isMountPoint('/proc'), await isMountPoint('/proc/self')]).toEqual([true, true, false]);
});

describe('claims', () => {
  const claim = (modes: string[], phase = 'Bound') => ({ metadata: { name: 'data' }, spec: { accessModes: modes }, status: { phase } });
  const pod = (phase = 'Running') => ({
    metadata: { name: 'app-0' },
    spec: { nodeName: 'node-1', volumes: [{ persistentVolumeClaim: { claimName: 'data' } }] },
    status: { phase },
  });

  it('ReadWriteOnce is mounted beside its pod, on that node; ReadWriteOncePod only where no pod has it', () => {
    expect(judge(claim(['ReadWriteOnce']), [pod()])).toEqual({ name: 'data', node: 'node-1', pod: 'app-0' });
    expect(judge(claim(['ReadWriteOncePod']), [pod()])).toEqual({
      name: 'data',
      reason: expect.stringContaining('only pod app-0 may mount it'),
    });
    expect(judge(claim(['ReadWriteOncePod']), [pod('Succeeded')])).toEqual({ name: 'data' });
  });

  it('VH13: one that no pod mounts is mounted anywhere; one without a volume has its reason', () => {
    expect(judge(claim(['ReadWriteOnce']), [])).toEqual({ name: 'data' });
    expect(judge(claim(['ReadWriteOnce'], 'Pending'), [])).toEqual({ name: 'data', reason: 'it is Pending, so it has no volume yet' });
  });

  it('are mounted read-only by a Job on the node, which ends by itself and holds no secret', () => {
    const claims = filesConfig.parse({ engine: 'files', claims: { names: ['data'], image: 'i', namespace: 'apps' } }).claims!;
    const job = jobOf(claims, { name: 'data', node: 'node-1' }, 'entry', '20260115T020000Z-4f2a1c', 'aabbccdd');
    const { spec } = job.spec.template;
    expect(spec).toMatchObject({
      nodeName: 'node-1',
      restartPolicy: 'Never',
      containers: [{ volumeMounts: [{ mountPath: '/volumes/apps/data', readOnly: true }] }],
    });
    expect(job.spec).toMatchObject({ backoffLimit: 0, activeDeadlineSeconds: 21600, ttlSecondsAfterFinished: 300 });
    expect(JSON.stringify(job)).not.toMatch(/"env|secret|AWS|RESTIC_/i);
  });
});
