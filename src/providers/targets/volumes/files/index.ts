import type { Target } from '../../../../core/contracts.ts';
import { capture } from './capture.ts';
import { isClaim } from './claimRestore.ts';
import type { FilesConfig } from './config.ts';
import { copyHeld } from './copy.ts';
import { coverage } from './coverage.ts';
import { doctor } from './doctor.ts';
import { holder } from './holder.ts';
import { prove } from './prove.ts';
import { restore } from './restore.ts';
import { verify } from './verify.ts';

type Work = Omit<Target<FilesConfig>, 'kind' | 'config' | 'defaults'>;

/** Files by restic, which keeps a repository of its own in each of our stores. */
export const files: Work = {
  doctor,
  capture,
  restore: (ctx, request, known, _read, begin = async () => {}) => restore(ctx, request, known, begin),
  elsewhere: isClaim,
  coverage,
  holder,
  verify,
  prove,
  copyHeld,
  kit: { tools: () => [{ program: 'restic', from: 'restic' }] },
  owns: path => path.startsWith('restic/'),
};
