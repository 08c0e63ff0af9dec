import type { NotifyEvent, NotifyVerb } from '../notify/types.ts';
import type { OptionValue } from '../restoreOptions.ts';

/** What prune keeps. Durations are text such as `30d`; kinds may add their own windows (`wal`). */
export interface Retention {
  hourly?: number;
  daily?: number;
  weekly?: number;
  monthly?: number;
  yearly?: number;
  last?: number;
  within?: string;
  [window: string]: number | string | undefined;
}

/** How an entry comes back with the whole stack. */
export interface FullDr {
  /** Kinds or `kind/name` that have to be back before it. */
  after: string[];
  to?: string;
  online: boolean;
  /** Options of its kind (core/restoreOptions.ts) by their long names. */
  options: Record<string, OptionValue>;
  skip: boolean;
}

/** Programs with their arguments that run around the backup of an entry. */
export interface Hooks {
  before?: string[];
  after?: string[];
  onError?: string[];
  timeout: string;
  env: Record<string, string>;
}

/** One named notifier; `type` chooses its other fields. */
export interface NotifierEntry {
  type: string;
  on: NotifyEvent[];
  verbs?: NotifyVerb[];
  targets?: string[];
  timeout: string;
  repeat: string;
  [field: string]: unknown;
}

/** One named entry of a kind: what every entry has, then the kind's own fields. */
export interface TargetEntry {
  engine: string;
  /** Names of stores, in the order of the config; absent in the file = all of the environment. */
  stores: string[];
  need: number;
  schedule: string;
  rpo: string;
  retention: Retention;
  /** Percent of the usual size below which a backup is an anomaly; 0 = never. */
  alarmBelow: number;
  /** Percent of a store's backups that prune removes at most without being forced. */
  pruneShare: number;
  fullDr: FullDr;
  /** Always there in a config that was read. */
  hooks?: Hooks;
  [field: string]: unknown;
}

/** What a service charges, by its price list of a day (`2026-01-15`). A GB is 10^9 bytes. */
export interface Price {
  gbMonth: number;
  gbEgress: number;
  currency: string;
  asOf: string;
}

/** One named store; `type` chooses its other fields. */
export interface StoreEntry {
  type: string;
  price?: Price;
  [field: string]: unknown;
}

/** What `bkp kit export` puts in beside the rest. */
export interface KitSettings {
  /** Store → settings that stand in the kit in place of the store's own: keys that can only read. */
  stores: Record<string, Record<string, string>>;
  /** Absolute paths of files of this host. */
  include: string[];
  /** Duration after which a kit is stale. */
  maxAge: string;
  /** How old the newest kit on record may be, else `status` is red; absent = it is only shown. */
  every?: string;
}

export interface Environment {
  /** The key under `environments`. */
  name: string;
  protected: boolean;
  restoresFrom?: string;
  cluster?: { kubeconfig?: string | undefined; context?: string | undefined };
  kit: KitSettings;
  /** How old the newest good drill of an entry may be. */
  drills: { every?: string; keep: string };
  /** Normalised: no slash at either end, none doubled; may be empty. */
  prefix: string;
  stores: Record<string, StoreEntry>;
  /** Absent where the program knows no notifiers. */
  notify?: Record<string, NotifierEntry>;
  /** Kind → name → entry. Kinds that the file does not name are empty. */
  targets: Record<string, Record<string, TargetEntry>>;
}

/** A whole config with defaults filled; secrets still stand as `${…}`. */
export interface Config {
  /** Path as the person knows it, for messages. */
  file: string;
  timezone: string;
  /** First day of the weeks that retention counts. */
  weekStart: 'sunday' | 'monday';
  defaultEnv?: string;
  temp?: string;
  keys: { recipients: string[]; unencrypted: boolean; identity?: string; signing?: string; trusted: string[] };
  environments: Record<string, Environment>;
}
