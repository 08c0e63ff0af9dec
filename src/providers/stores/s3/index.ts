import type { Store } from '../../../core/contracts.ts';
import type { StoreHost } from '../host.ts';
import type { B2Config, HetznerConfig, S3Config } from './config.ts';
import { b2Settings, hetznerSettings, s3Settings } from './settings.ts';
import { S3Store } from './store.ts';

export { b2Config, hetznerConfig, s3Config } from './config.ts';

/** A bucket of any service that speaks S3. Throws BkpError('usage') when a resolved setting is no address. */
export const openS3 = (name: string, config: S3Config, host: StoreHost): Store => new S3Store(name, s3Settings(name, config), host);

/** A bucket of Hetzner Object Storage. */
export const openHetzner = (name: string, config: HetznerConfig, host: StoreHost): Store =>
  new S3Store(name, hetznerSettings(name, config), host);

/** A bucket of Backblaze B2: no conditional writes, every version deleted. */
export const openB2 = (name: string, config: B2Config, host: StoreHost): Store => new S3Store(name, b2Settings(name, config), host);
