import type { KitHelp } from '../../../core/contracts.ts';
import type { SambaConfig } from './config.ts';

export const kit: KitHelp<SambaConfig> = {
  tools(_ctx, newest) {
    const version = newest?.versions['server'];
    return [
      { program: 'samba-tool', from: 'samba', ...(version ? { version } : {}) },
      { program: 'samba', from: 'samba-ad-provision' },
      { program: 'bzip2', from: 'bzip2' },
    ];
  },
  steps: () => ['`--server-name` is a name that no DC of the domain had, `--host-ip` the address of this machine.'],
};
