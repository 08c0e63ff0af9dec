import { describe, expect, it } from '@jest/globals';
import { type ClusterSecret, changedAt, onlyInCluster } from '../../../src/core/kit/clusterSecrets.ts';

const MADE = '2026-01-15T02:00:00Z';
const secret = (name: string, more: Partial<ClusterSecret['metadata']> = {}, type = 'Opaque'): ClusterSecret => ({
  metadata: { name, namespace: 'shop', creationTimestamp: MADE, ...more },
  type,
});
const named = (secrets: readonly ClusterSecret[], at?: string): string[] =>
  onlyInCluster(secrets, at ? new Date(at) : undefined).map(text => /Secret (\S+)/.exec(text)![1]!);

describe('Secrets that are only in the cluster', () => {
  it('are those that nobody makes again', () => {
    const secrets = [
      secret('till'),
      secret('sealed', { ownerReferences: [{ kind: 'SealedSecret', name: 'sealed' }] }),
      secret('release', {}, 'helm.sh/release.v1'),
      secret('account', {}, 'kubernetes.io/service-account-token'),
      secret('k3s-serving', { namespace: 'kube-system' }, 'kubernetes.io/tls'),
      secret('node-1.node-password.k3s', { namespace: 'kube-system' }),
      secret('key-1', { labels: { 'sealedsecrets.bitnami.com/sealed-secrets-key': 'active' } }, 'kubernetes.io/tls'),
      secret('registry', {}, 'kubernetes.io/dockerconfigjson'),
      secret('k3s-serving'),
    ];
    expect(named(secrets)).toEqual(['shop/till', 'shop/registry', 'shop/k3s-serving']);
    expect(named(secrets, '2026-01-15T02:00:01Z')).toEqual([]);
  });

  it('a backup has what was last changed a second before it at the latest: Kubernetes cuts its times', () => {
    expect(named([secret('till')], MADE)).toEqual(['shop/till']);
    expect(named([secret('till')], '2026-01-15T02:00:00.999Z')).toEqual(['shop/till']);
    expect(named([secret('till')], '2026-01-15T02:00:01Z')).toEqual([]);
    const later = secret('till', { managedFields: [{ time: '2026-01-16T00:00:00Z' }, {}] });
    expect(changedAt(later)).toEqual(new Date('2026-01-16T00:00:00Z'));
    expect(named([later], '2026-01-15T12:00:00Z')).toEqual(['shop/till']);
    expect(named([{ metadata: { name: 'x', namespace: 'shop' } }], '2099-01-01T00:00:00Z')).toEqual(['shop/x']);
  });
});
