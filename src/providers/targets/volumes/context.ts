import type { TargetContext } from '../../../core/contracts.ts';
import { type Hetzner, openHetzner } from '../../hetzner/index.ts';
import type { SnapshotConfig } from './config.ts';

/** An entry of engine `server-snapshot`. */
export type Context = TargetContext<SnapshotConfig>;

/** The API of the entry's project. */
export const hetznerOf = ({ config, clock, signal }: Context): Hetzner =>
  openHetzner({ token: config.token, endpoint: config.endpoint, clock, signal });

/** Bytes of what Hetzner counts in GB. */
export const bytesOf = (gb: number | undefined): number => Math.round((gb ?? 0) * 1e9);
