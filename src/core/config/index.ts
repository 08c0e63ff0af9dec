export { refuseExpanded } from './expanded.ts';
export { findConfig, type Lookup } from './find.ts';
export { parseConfig } from './parse.ts';
export { entry, environment } from './pick.ts';
export { redactor } from './redactor.ts';
export { configJsonSchema, type KindSchema, type Registry } from './schema.ts';
export {
  besideConfig,
  lazySecrets,
  missingSecrets,
  resolveSecrets,
  type SecretRef,
  type SecretSource,
  secretsIn,
  withoutSecrets,
} from './secrets.ts';
export { shownConfig } from './shown.ts';
export type {
  Config,
  Environment,
  FullDr,
  Hooks,
  KitSettings,
  NotifierEntry,
  Price,
  Retention,
  StoreEntry,
  TargetEntry,
} from './types.ts';
