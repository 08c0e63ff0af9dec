import type { KitHelp } from '../../../core/contracts.ts';
import type { PostgresConfig } from './config.ts';

/** PostgreSQL replays only what a server of its own major version wrote. */
export const kit: KitHelp<PostgresConfig> = {
  tools({ config }, newest) {
    const version = newest?.versions['server'];
    const major = /^\d+/.exec(version ?? '')?.[0];
    return [
      { program: 'postgres', from: major ? `postgresql-${major}` : 'postgresql-MAJOR', ...(version ? { version } : {}) },
      ...(config.engine === 'wal-g' ? [{ program: 'wal-g', from: 'a release of WAL-G' }] : []),
    ];
  },
  steps: ({ config }) =>
    config.engine === 'wal-g' && config.walg?.libsodiumKey === undefined && config.walg?.pgpKey === undefined
      ? ['Where this archive was sealed with a derived key, `bkp keygen --derive` prints it.']
      : [],
};
