import type { ZodType } from 'zod';
import type { Store } from '../../core/contracts.ts';
import { directoryConfig, openDirectory } from './directory.ts';
import type { StoreHost } from './host.ts';
import { b2Config, hetznerConfig, openB2, openHetzner, openS3, s3Config } from './s3/index.ts';

/** How a store of one `type:` is configured and opened. Opening asks nothing of the store. */
export interface StoreKind {
  config: ZodType;
  open(name: string, config: any, host: StoreHost): Store;
}

/** Every type of store, one line each. */
export const stores: Readonly<Record<string, StoreKind>> = {
  directory: { config: directoryConfig, open: openDirectory },
  s3: { config: s3Config, open: openS3 },
  hetzner: { config: hetznerConfig, open: openHetzner },
  b2: { config: b2Config, open: openB2 },
};
