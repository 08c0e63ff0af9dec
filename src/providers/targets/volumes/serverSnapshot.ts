import type { Target } from '../../../core/contracts.ts';
import { capture } from './capture.ts';
import type { SnapshotConfig } from './config.ts';
import { coverage } from './coverage.ts';
import { doctor } from './doctor.ts';
import { holder, verify } from './holder.ts';
import { kit } from './kit.ts';
import { restore } from './restore.ts';

type Work = Omit<Target<SnapshotConfig>, 'kind' | 'config' | 'defaults'>;

/** Servers at Hetzner: snapshots of their own disks. */
export const serverSnapshot: Work = {
  doctor,
  capture,
  online: () => 'Hetzner Cloud',
  restore: (ctx, request, known, _read, begin = async () => {}) => restore(ctx, request, known, begin),
  coverage,
  holder,
  verify,
  kit,
};
