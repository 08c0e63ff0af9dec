import type { ZodType } from 'zod';
import type { Store } from '../../core/contracts.ts';
import { directoryConfig, openDirectory } from './directory.ts';

/** How a store of one `type:` is configured and opened. */
export interface StoreKind {
  config: ZodType;
  open(name: string, config: any): Store;
}

/** Every type of store, one line each. */
export const stores: Readonly<Record<string, StoreKind>> = {
  directory: { config: directoryConfig, open: openDirectory },
};
