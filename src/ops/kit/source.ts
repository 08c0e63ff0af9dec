import { type Config, parseConfig, type Registry, type SecretSource } from '../../core/config/index.ts';
import type { Target, TargetContext } from '../../core/contracts.ts';
import { CONFIG } from '../../core/kit/types.ts';

export interface OpenedTarget {
  target: Target;
  ctx: TargetContext;
}

/** The platform of which a kit is made, or with which one is compared. */
export interface KitSource {
  config: Config;
  /** The config as it is written. */
  text: string;
  registry: Registry;
  secrets: SecretSource;
  /** The environment of the kit, and the one that has its backups where that is another. */
  env: string;
  origin: string;
  /** Its entries with the stores of `origin`, at least one. */
  opened: readonly OpenedTarget[];
}

/** The environment and, where that is another, the one whose backups it restores. */
export const environmentsOf = ({ env, origin }: Pick<KitSource, 'env' | 'origin'>): string[] => [...new Set([env, origin])];

/** The config as if it lay where that of the kit does, so that files beside it have the same names. */
export const parsedAlike = ({ text, registry }: Pick<KitSource, 'text' | 'registry'>): Config => parseConfig(text, CONFIG, registry);

/** A sentence for an entry whose stores are all directories: a disk of a host, or a share that may be one. */
export function onlyNear({ ctx }: OpenedTarget): string | undefined {
  if (ctx.stores.some(({ place }) => place === undefined)) return undefined;
  const names = ctx.stores.map(({ name }) => name).join(', ');
  return `${ctx.kind}/${ctx.name} lies in directories alone (${names}): if they are gone with their host, the kit brings nothing of it back`;
}
