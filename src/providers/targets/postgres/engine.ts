import type { Target, TargetContext } from '../../../core/contracts.ts';
import type { PostgresConfig } from './config.ts';

type Log = NonNullable<Target<PostgresConfig>['log']>;

/** What the engines do each in their own way; everything else of a cluster is one behaviour for both. */
export interface Engine {
  capture: Target<PostgresConfig>['capture'];
  push: Log['push'];
  stream: NonNullable<Target<PostgresConfig>['stream']>;
}

/** The engine that an entry names, loaded when it is used. */
export const engineOf = async ({ config }: TargetContext<PostgresConfig>): Promise<Engine> =>
  config.engine === 'wal-g' ? (await import('./walg/engine.ts')).walg : (await import('./native.ts')).native;
