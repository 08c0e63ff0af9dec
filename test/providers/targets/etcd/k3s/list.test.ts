import { describe, expect, it } from '@jest/globals';
import { OWN, ownName, readList, takenAt } from '../../../../../src/providers/targets/etcd/k3s/list.ts';

const path = '/var/lib/rancher/k3s/server/db/snapshots/etcd-snapshot-node1-1768442400';
const name = 'etcd-snapshot-node1-1768442400';

describe('k3s etcd-snapshot ls', () => {
  const list = {
    kind: 'List',
    items: [
      {
        kind: 'ETCDSnapshotFile',
        spec: { snapshotName: name, nodeName: 'node1', location: `file://${path}` },
        status: { size: '2048', creationTime: '2026-01-15T02:00:00Z', readyToUse: true },
      },
      { spec: { snapshotName: 'x', nodeName: 's3', location: 's3://bucket/x' }, status: { readyToUse: false, error: { message: 'no' } } },
    ],
  };
  const array = [
    { name, nodeName: 'node1', location: `file://${path}`, size: 2048, createdAt: '2026-01-15T02:00:00Z', status: 'successful' },
  ];

  it('has two shapes, which say the same', () => {
    const one = { name, node: 'node1', path, bytes: 2048, at: new Date('2026-01-15T02:00:00Z') };
    expect(readList(JSON.stringify(list))[0]).toEqual(one);
    expect(readList(JSON.stringify(array))).toEqual([one]);
  });

  it('tells what lies in S3, and what failed', () => {
    const second = readList(JSON.stringify(list))[1]!;
    expect(second.path).toBeUndefined();
    expect(second.failed).toBe('no');
    expect(readList(JSON.stringify([{ ...array[0], status: 'failed', message: 'full' }]))[0]!.failed).toBe('full');
  });

  it.each(['null', '', '[]', '{"kind":"List","items":null}', '{"kind":"ETCDSnapshotFileList","items":[]}'])('%j = none', text => {
    expect(readList(text)).toEqual([]);
  });

  it.each(['{"kind":"Pod"}', '<html>', '3'])('%j is an error', text => {
    expect(() => readList(text)).toThrow(/k3s etcd-snapshot ls gave/);
  });
});

it('EK02: a name tells when K3s took it; what is unfinished has none', () => {
  expect(takenAt(name)).toEqual(new Date(1768442400_000));
  expect(takenAt(`${name}.zip`)).toEqual(new Date(1768442400_000));
  for (const other of [`${name}.part`, `${name}.tmp`, 'snapshot', `${name}.zip.part`]) expect(takenAt(other)).toBeUndefined();
});

it('EK10: only what a run of bkp had K3s take is its own', () => {
  expect(OWN.test(`${ownName('20260115T020000Z-4f2a1c')}-node1-1768442400`)).toBe(true);
  for (const other of [name, 'bkp-node1-1768442400', 'on-demand-node1-1768442400', `x${ownName('20260115T020000Z-4f2a1c')}-n-1768442400`])
    expect(OWN.test(other)).toBe(false);
});
