import type { Target } from '../../../core/contracts.ts';
import { capture } from './capture.ts';
import { type SambaConfig, sambaConfig } from './config.ts';
import { doctor } from './doctor.ts';
import { kit } from './kit.ts';
import { prove } from './prove.ts';
import { restore } from './restore.ts';

/** A Samba Active Directory domain: backups by samba-tool, restored onto one new DC. */
export const samba: Target<SambaConfig> = {
  kind: 'samba',
  config: sambaConfig,
  // A run of one day begins as late as the one before took; 2 h is what status gives a daily run.
  defaults: { schedule: '0 4 * * *', rpo: '26h', retention: { within: '90d' }, after: ['etcd', 'volumes'] },
  doctor,
  capture,
  restore,
  prove,
  kit,
};
