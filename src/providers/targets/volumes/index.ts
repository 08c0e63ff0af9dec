import type { Target } from '../../../core/contracts.ts';
import { capture } from './capture.ts';
import { type VolumesConfig, volumesConfig } from './config.ts';
import { coverage } from './coverage.ts';
import { doctor } from './doctor.ts';
import { holder, verify } from './holder.ts';
import { kit } from './kit.ts';
import { restore } from './restore.ts';

/** Servers at Hetzner: snapshots of their own disks, which never leave Hetzner. */
export const volumes: Target<VolumesConfig> = {
  kind: 'volumes',
  config: volumesConfig,
  defaults: { schedule: '0 3 * * *', rpo: '25h', retention: { within: '30d' } },
  doctor,
  capture,
  online: () => 'Hetzner Cloud',
  restore: (ctx, request, known, _read, begin = async () => {}) => restore(ctx, request, known, begin),
  coverage,
  holder,
  verify,
  kit,
};
