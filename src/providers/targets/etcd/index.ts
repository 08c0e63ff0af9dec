import type { Target } from '../../../core/contracts.ts';
import { capture } from './capture.ts';
import { type EtcdConfig, etcdConfig } from './config.ts';
import { doctor } from './doctor.ts';
import { pending } from './k3s/pending.ts';
import { kit } from './kit.ts';
import { prove } from './prove.ts';
import { restore } from './restore.ts';

/** etcd, and the datastore of K3s with its server token. The RPO leaves an hour for the backup itself, so that no slot is late at its own minute. */
export const etcd: Target<EtcdConfig> = {
  kind: 'etcd',
  config: etcdConfig,
  defaults: { schedule: '0 */12 * * *', rpo: '13h', retention: { within: '7d' } },
  doctor,
  capture,
  pending,
  online: ({ config }) => `the K3s in ${config.k3s.dataDir}`,
  restore,
  prove,
  kit,
};
