import type { KitHelp } from '../../../core/contracts.ts';
import type { RedisConfig } from './config.ts';

/** A dump is read by its own flavor, at its version or a newer one. */
export const kit: KitHelp<RedisConfig> = {
  tools(_ctx, newest) {
    const flavor = newest?.versions['flavor'] === 'valkey' ? 'valkey' : 'redis';
    const version = newest?.versions['server'];
    return [
      { program: `${flavor}-server`, from: `${flavor}-server`, ...(version ? { version } : {}) },
      { program: `${flavor}-cli`, from: `${flavor}-tools` },
    ];
  },
};
