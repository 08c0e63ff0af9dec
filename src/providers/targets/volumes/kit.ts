import type { KitHelp } from '../../../core/contracts.ts';
import type { SnapshotConfig } from './config.ts';

/** Snapshots come back at Hetzner itself: an account that is gone took them along. */
export const kit: KitHelp<SnapshotConfig> = {
  tools: () => [],
  place: ['--online', '--server', 'ID', '--new-server', 'NAME'],
  steps: () => [
    'The snapshots are in the project of this API token at Hetzner, and nowhere else. `--dry-run` says which servers there are.',
  ],
};
