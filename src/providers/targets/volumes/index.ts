import type { Target } from '../../../core/contracts.ts';
import { type VolumesConfig, volumesConfig } from './config.ts';
import { files } from './files/index.ts';
import { serverSnapshot } from './serverSnapshot.ts';

const common = {
  kind: 'volumes',
  config: volumesConfig,
  defaults: { schedule: '0 3 * * *', rpo: '25h', retention: { within: '30d' } },
};

const engines = { 'server-snapshot': { ...common, ...serverSnapshot }, files: { ...common, ...files } } as Record<
  VolumesConfig['engine'],
  Target
>;

/** Servers at Hetzner by snapshots of their own disks, which never leave Hetzner; or files by restic. */
export const volumes: Target<VolumesConfig> = { ...engines['server-snapshot'], variant: ({ engine }) => engines[engine] };
