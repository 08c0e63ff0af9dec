import { describe, expect, it } from '@jest/globals';
import { sameCluster } from '../../../../src/providers/targets/etcd/identity.ts';
import { memberOf } from '../../../../src/providers/targets/etcd/restore.ts';
import { readStatus } from '../../../../src/providers/targets/etcd/status.ts';

describe('membership of a restored member', () => {
  it('nothing said: the defaults of etcdutl', () => {
    expect(memberOf()).toEqual({});
  });

  it('a name, or peer URLs: a cluster of this one alone', () => {
    expect(memberOf({ name: 'm1' })).toEqual({ name: 'm1', initialCluster: 'm1=http://localhost:2380' });
    expect(memberOf({ name: 'm1', 'initial-advertise-peer-urls': 'https://a:1,https://b:1' })).toEqual({
      name: 'm1',
      initialCluster: 'm1=https://a:1,m1=https://b:1',
      initialAdvertisePeerUrls: 'https://a:1,https://b:1',
    });
  });

  it('a cluster that is named is taken as it is', () => {
    expect(memberOf({ name: 'm1', 'initial-cluster': 'm1=x,m2=y', 'initial-cluster-token': 't' })).toEqual({
      name: 'm1',
      initialCluster: 'm1=x,m2=y',
      initialClusterToken: 't',
    });
  });
});

describe('which cluster it is', () => {
  it('goes by what outlives a restore', () => {
    expect(sameCluster({ kubeSystem: 'u', clusterId: '1' }, { kubeSystem: 'u', clusterId: '2' })).toBe(true);
    expect(sameCluster({ kubeSystem: 'u', clusterId: '1' }, { kubeSystem: 'v', clusterId: '1' })).toBe(false);
    expect(sameCluster({ clusterId: '1' }, { kubeSystem: 'u', clusterId: '2' })).toBe(false);
    expect(sameCluster({ serverCa: 'x' }, { clusterId: '2' })).toBeUndefined();
  });
});

it('reads ids that no number of JavaScript holds', () => {
  const header = '{"cluster_id":14841639068965178418,"member_id":10276657743932975437,"revision":7,"raft_term":3}';
  const text = `[{"Endpoint":"e","Status":{"header":${header},"version":"3.4.23","dbSize":20480,"leader":10276657743932975437,"isLearner":true}}]`;
  expect(readStatus(text)).toEqual([
    { endpoint: 'e', clusterId: '14841639068965178418', revision: 7, version: '3.4.23', dbSize: 20480, learner: true, errors: [] },
  ]);
});
