import type { Check, LineageId, LogMark, LogState, Lsn, Manifest } from '../contracts.ts';
import type { ExitName } from '../errors.ts';
import type { DrillResult } from '../evidence.ts';

/** `late` and `failing` are red. `unknown` could not be looked at from here, and is not. */
export type State = 'ok' | 'late' | 'failing' | 'unknown';

/** One finding as a sentence; `ok` = a note. */
export interface Why {
  state: State;
  text: string;
}

/** One backup as one store shows it. */
export interface Copy {
  manifest: Manifest;
  /** Every object is there at its size. */
  whole: boolean;
  /** Bytes that it takes in that store. */
  bytes: number;
}

/** How a run of a verb ended. */
export interface RunEnd {
  /** ISO 8601 UTC. */
  finishedAt: string;
  exit: ExitName;
  message?: string;
}

export type Verb = 'backup' | 'prune' | 'verify' | 'drill';

/** The newest success and the newest failure of each verb, as one store remembers them. */
export type Runs = Partial<Record<Verb, { success?: RunEnd; failure?: RunEnd }>>;

/** What was seen in one store. */
export interface StoreFacts {
  store: string;
  /** Why the store does not answer; then the rest is empty. */
  silent?: string;
  /** Oldest first. */
  copies: readonly Copy[];
  /** Manifests in it that do not count, with why. */
  unread: readonly { id?: string; text: string }[];
  /** The newest of each lineage of the log. */
  log: readonly LogState[];
  /** By the config it gets no log: only whole backups are expected of it. */
  unlogged?: true;
  runs: Runs;
  /** Why the records of runs could not be read. */
  runsError?: string;
  /** Bytes of every object of the target. */
  bytes: number;
  hidden?: { objects: number; bytes: number };
}

/** What the source said of itself; `error` = it does not answer. */
export interface SourceFacts {
  error?: string;
  lineage?: LineageId;
  position?: Lsn;
  checks: readonly Check[];
}

/** What the source is on record to have committed, by lineage; `error` = a record that is not to be trusted. */
export interface Marks {
  of: ReadonlyMap<LineageId, readonly LogMark[]>;
  error?: string;
}

/** What is expected of a target. */
export interface Rules {
  /** Cron, read in `zone`. */
  schedule: string;
  zone: string;
  rpoMs: number;
  /** Bytes of log from one position to another, 0 where the second lies before the first; absent for a kind without a log. */
  distance?: (from: Lsn, to: Lsn) => number;
  /** Absent for a kind that records none. */
  marks?: Marks;
}

/** The newest good backup of a store. Instants are ISO 8601 UTC here and below. */
export interface Newest {
  id: string;
  startedAt: string;
  finishedAt: string;
  recoveryPointAt: string;
  /** Bytes that it takes in the store. */
  bytes: number;
  /** Change of the plain bytes against the median of up to five good backups before, in percent. */
  trendPercent?: number;
}

/** How far the log of one store is behind. */
export interface LogLag {
  lineage: LineageId;
  /** When the store got its newest part, and the first position that is not in it. */
  at: string;
  end: Lsn;
  lagSeconds: number;
  /** Only the source can tell. */
  lagBytes?: number;
  /** The first instant of which it is on record that the source had committed something that is not in it. */
  missedAt?: string;
}

export interface StoreStatus {
  store: string;
  up: boolean;
  state: State;
  why: readonly Why[];
  newest?: Newest;
  /** When the run after the newest good backup was or is due. */
  nextDue: string;
  /** The instant to which this store alone brings the data. */
  recoveryPointAt?: string;
  log?: LogLag;
  /** Whole backups, and those that are damaged or not trusted. */
  backups: number;
  damaged: number;
  bytes: number;
  hidden?: { objects: number; bytes: number };
  runs: Partial<Record<Verb, { successAt?: string; failureAt?: string }>>;
}

export interface SourceStatus {
  state: State;
  why: readonly Why[];
  lineage?: LineageId;
  position?: Lsn;
  checks: readonly Check[];
}

export interface TargetStatus {
  kind: string;
  name: string;
  /** The worst of the source and the stores. */
  state: State;
  schedule: string;
  rpoSeconds: number;
  /** Absent for a kind that cannot be asked. */
  source?: SourceStatus;
  stores: readonly StoreStatus[];
}

/** How a notifier last fared, by the stores. */
export interface NotifierStatus {
  name: string;
  type: string;
  state: 'ok' | 'failing';
  /** Messages in a row that were not taken. */
  failures: number;
  /** When the newest one failed. */
  failureAt?: string;
  /** Why, while it fails. */
  error?: string;
}

/** The newest drill on record, of whatever scope. */
export interface LastDrill {
  id: string;
  scope: string;
  /** In which environment of the config it was. */
  drilledIn: string;
  finishedAt: string;
  result: DrillResult;
  /** `kind/name` of what did not come back. */
  failed: readonly string[];
}

/** How it stands with rehearsed restores. */
export interface DrillStatus {
  state: State;
  why: readonly Why[];
  /** How old the newest good drill of an entry may be; absent = nobody said. */
  everySeconds?: number;
  last?: LastDrill;
}

/** How it stands with the disaster kit of the environment, by what the stores have on record. */
export interface KitStatus {
  state: State;
  why: readonly Why[];
  /** How old the newest kit may be; absent = nobody said, and it is only shown. */
  everySeconds?: number;
  /** The newest that was made: its id, when, and with what it was sealed. */
  exported?: { kit: string; at: string; seal?: { by: 'passphrase' | 'recipient'; count: number } };
  /** The newest that a check found good; `deep` = by restoring. */
  proven?: { kit: string; at: string; deep: boolean };
  /** The newest that a check did not find good, where none was found good since. */
  failed?: { kit: string; at: string };
}

export interface StatusReport {
  env: string;
  at: string;
  targets: readonly TargetStatus[];
  /** Absent = nobody is told. */
  notifiers?: readonly NotifierStatus[];
  drills: DrillStatus;
  /** Absent = it was not looked for. */
  kit?: KitStatus;
}
