import type { Readable } from 'node:stream';
import type { ZodType } from 'zod';
import type { KitTool } from './kit/types.ts';
import type { OptionValue } from './restoreOptions.ts';

/** Bytes on the move. Every part of the line speaks this one type. */
export type Bytes = AsyncIterable<Uint8Array>;

/** Time comes from outside, so that tests can hold it still. Instants are UTC, durations milliseconds. */
export interface Clock {
  now(): Date;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

// ---- processes --------------------------------------------------------------------------------

/** A native tool. `env` is added to a minimal PATH and locale; nothing else of ours is inherited. Secrets go in `env`, never in `args`. */
export interface Command {
  file: string;
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** A secret that the child reads at `/dev/fd/3`: no argument or variable shows it, and no name in a directory outlives a kill. Pipelines only. */
  secret?: string;
}

/** A long-running child: its stderr line by line, its end, and signals. */
export interface Child {
  readonly pid: number;
  readonly stdin: NodeJS.WritableStream | null;
  /** Lines of stdout and stderr as they come; ends with the child. */
  lines(): AsyncIterable<string>;
  /** Resolves when the child has ended, whatever its code. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>;
  kill(signal: NodeJS.Signals): void;
}

export interface Pipeline {
  /**
   * stdout of the last command. Destroying it ends every child. It has to be read, nothing is buffered; a chunk is freed once its last
   * reader is done with it, so pass it on or keep a copy, never both.
   */
  out: Readable;
  /** Of the children, in order; -1 for one that could not be started. */
  pids: readonly number[];
  /** Resolves to each child's stderr when all of them ended with 0 and no signal; rejects with a BkpError naming the first that did not. */
  done: Promise<string[]>;
}

/** The only door to other programs. */
export interface Runner {
  /** Runs to its end; stdout and stderr as text. Throws a BkpError('failed') on a non-zero code or a signal. */
  text(
    command: Command,
    /** `hold`: stdin stays open until the end, so that its closing tells the child that we are gone. */
    options?: { signal?: AbortSignal; input?: string; hold?: boolean; timeoutMs?: number },
  ): Promise<{ stdout: string; stderr: string }>;
  /** Children joined by file descriptor; `input` feeds the first. `onStderr` gets (index, line). */
  pipeline(
    commands: readonly Command[],
    options?: { signal?: AbortSignal; input?: Bytes; onStderr?: (index: number, line: string) => void },
  ): Pipeline;
  /** `tied`: what the child gets when this process is gone, however it ended; only where the host has the `setpriv` of util-linux. */
  start(command: Command, options?: { signal?: AbortSignal; stdin?: boolean; detached?: boolean; tied?: NodeJS.Signals }): Child;
  /** Absolute path of a tool on PATH or in `dirs` (looked at first), or undefined. */
  which(file: string, dirs?: readonly string[]): string | undefined;
}

/** Where the tools of a target run. */
export type Where =
  | 'local'
  | {
      kubectl: {
        namespace: string;
        /** Name of the pod; or `selector`, of whose ready pods the first by name is taken. */
        pod?: string | undefined;
        selector?: string | undefined;
        container?: string | undefined;
        context?: string | undefined;
        kubeconfig?: string | undefined;
        /** Directory there for temporary files; default: what `mktemp` takes. */
        temp?: string | undefined;
      };
    }
  | {
      ssh: {
        host: string;
        user?: string | undefined;
        port?: number | undefined;
        identityFile?: string | undefined;
        knownHosts?: string | undefined;
        temp?: string | undefined;
      };
    };

/**
 * A place where tools run: this host, a container of a pod, another host. Arguments travel whole, `Command.env` by no argument, exit codes
 * come back, and bytes are good only when both ends counted and hashed the same.
 */
export interface Site {
  /** For sentences: `this host`, `pod prod/redis-0`, `host dc1.example.org`. */
  readonly name: string;
  readonly local: boolean;
  /**
   * As `Runner.text`. Without `input` the tool there is ended when this process is gone; on this host only with `lasting`, since a tool that
   * ends by itself does no harm here.
   */
  text(
    command: Command,
    options?: { signal?: AbortSignal; input?: string; timeoutMs?: number; lasting?: boolean },
  ): Promise<{ stdout: string; stderr: string }>;
  /** Absolute path there of a tool on PATH or in `dirs` (looked at first), or undefined. */
  which(file: string, dirs?: readonly string[]): Promise<string | undefined>;
  /** An empty directory of this operation's own, mode 700; `close` removes it. */
  dir(): Promise<string>;
  /** Names in a directory, in order, without `.` and `..`; empty when it is not there. */
  names(dir: string): Promise<string[]>;
  /** Bytes of a file there. Throws BkpError('failed') at its end when they are not what was counted and hashed there before. */
  read(path: string): Bytes;
  /** Makes a file of mode 600. Throws BkpError('failed') when what is there then is not what was sent. */
  write(path: string, bytes: Bytes): Promise<void>;
  /** Takes away files and directories with all that is in them; what is gone already is fine. */
  remove(path: string): Promise<void>;
  /** Removes every directory of `dir`, whatever came; a warning where that cannot be done. */
  close(): Promise<void>;
}

// ---- what is told while it happens ------------------------------------------------------------

export type Event =
  | { type: 'started'; what: string }
  /** `expected` = the bytes of the same in the backup before: no promise. */
  | { type: 'progress'; what: string; bytes: number; total?: number; expected?: number }
  | { type: 'finished'; what: string; bytes?: number; ms?: number }
  | { type: 'note'; text: string }
  | { type: 'warning'; text: string };

/** Text, JSON and tests each render these events their own way. */
export interface Reporter {
  emit(event: Event): void;
}

/** A line of `doctor`: `mend` is what to type or paste. */
export interface Check {
  name: string;
  state: 'ok' | 'warn' | 'fail';
  text: string;
  mend?: string;
}

/** What `verify` found in one store. `damaged` and `missing` break a restore; `unproven` could not be looked at; `stray` and `note` harm nothing. */
export interface Finding {
  store: string;
  state: 'damaged' | 'missing' | 'unreachable' | 'unproven' | 'stray' | 'note';
  key?: string;
  text: string;
  /** What can no longer be restored because of it. */
  breaks?: readonly string[];
}

// ---- stores -----------------------------------------------------------------------------------

export interface ObjectInfo {
  key: string;
  bytes: number;
  modified: Date;
}

/** What became of one key of many. `locked` = held by the store itself. */
export interface PerItem {
  key: string;
  ok: boolean;
  locked?: boolean;
  reason?: string;
}

/** What a store can do beyond the least, learnt by a probe. */
export interface Powers {
  /** Of two writes with `ifAbsent` at the same time one wins. Without it that is only very likely. */
  conditionalPut: boolean;
  /** Deletion may only hide, and what is hidden goes on billing. */
  versions: boolean;
  /** Objects can be held by the store itself until a date. */
  locks: boolean;
}

/** An object in the making: nothing exists under the key until `commit` resolves. */
export interface Upload {
  /** Block `n` counts from 0; blocks may come in any order; `sha256` is hex over `bytes`. The buffer may be reused once this resolves. */
  block(n: number, bytes: Buffer, sha256: string): Promise<void>;
  /** All blocks are there: publish at once, look at it, and say what the store shows. */
  commit(): Promise<ObjectInfo>;
  /** Leaves nothing behind; never throws. */
  abort(): Promise<void>;
}

export interface PutOptions {
  ifAbsent?: boolean;
  lasting?: boolean;
}

/** Object lock as the config asks for it. */
export interface StoreLock {
  mode: 'governance' | 'compliance';
  /** From the time when an object is put: milliseconds. */
  ms: number;
}

/** One bucket of one service. */
export interface Bucket {
  /** http:// or https://, without the bucket. */
  endpoint: string;
  region: string;
  bucket: string;
  accessKey: string;
  secretKey: string;
  /** The bucket stands in the path, else in the host name. */
  pathStyle: boolean;
  /** PEM text of the authority behind the endpoint's certificate. */
  ca?: string;
  proxy?: string;
}

/** How another program reaches the place of a store by itself. Holds secrets: for the environment of a child, and for nothing else. */
export type Access = ({ kind: 's3' } & Bucket) | { kind: 'directory'; path: string };

/**
 * A place for objects. Keys are `/`-separated, checked by `checkKey`. Every method throws BkpError: 'storeUnreachable' when the
 * store cannot be asked, 'notFound' when a key is absent (get), 'conflict' when `ifAbsent` found something.
 */
export interface Store {
  readonly name: string;
  /** Directory of this machine in which the objects lie; absent for what is elsewhere. */
  readonly place?: string;
  /** Bytes of a block; the same for every object of one backup. */
  readonly blockBytes: number;
  /** How it holds what is lasting; absent where the config asks for nothing, or it cannot. */
  readonly lock?: StoreLock | undefined;
  /** Asked of the store once, then remembered. */
  powers(): Promise<Powers>;
  /** `lasting` = part of a backup or of a log: held where the store holds what it keeps (`lock`). What is replaced or soon removed is not. */
  open(key: string, options?: PutOptions): Promise<Upload>;
  /** `to` is exclusive. */
  get(key: string, range?: { from: number; to?: number }): Bytes;
  stat(key: string): Promise<ObjectInfo | undefined>;
  /** Every object whose key starts with `prefix`, complete or throwing; with what others put there, such as a folder's mark that ends in `/`. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
  remove(keys: readonly string[]): Promise<PerItem[]>;
  /** Takes away what uploads under `prefix` left that were begun before an instant and never finished; an item per upload. */
  sweep?(prefix: string, before: Date): Promise<PerItem[]>;
  /** Old versions and marks of deletion under `prefix`: no listing shows them, and they go on billing. Zero where there are no versions. */
  hidden?(prefix: string): Promise<{ objects: number; bytes: number }>;
  /** Absent where only bkp can reach it. */
  access?(): Access;
  /** Removes for good what `hidden` counts under `prefix`, an item for each version or mark; what no listing shows is nobody's any more. */
  purge?(prefix: string): Promise<PerItem[]>;
  /** Until when the store itself lets nobody remove what is under a key now; undefined = anybody may. */
  heldUntil?(key: string): Promise<Date | undefined>;
  /** Holds each of these until an instant at least, as `lock` says; what is held for longer stays so. An item each. */
  hold?(keys: readonly string[], until: Date): Promise<PerItem[]>;
  /** Tries with its own credentials to destroy a canary that it holds, under `base`; may take half a minute. Never throws. */
  withstand?(base: string): Promise<Check>;
  /** What only this type of store has to be asked: rules that delete, clocks, rights. `base` is the target's prefix. */
  doctor?(base: string): AsyncIterable<Check>;
}

// ---- backups ----------------------------------------------------------------------------------

export type Id = string;
/** PostgreSQL's `X/Y` notation. */
export type Lsn = string;
/** System identifier, `-`, counter: one history of one cluster. */
export type LineageId = string;

/** Something another tool keeps for us. */
export interface Held {
  by: 'wal-g' | 'restic' | 'hetzner';
  id: string;
  detail?: Readonly<Record<string, string>>;
  /** Key prefix under which it lies in our own stores, without a slash at its end; absent for what is elsewhere. */
  under?: string;
  /**
   * Its objects there, in the order in which they are copied: the one that makes it exist is the last. `bytes` is absent for what changes
   * while it is kept.
   */
  objects?: readonly HeldObject[];
}

export interface HeldObject {
  key: string;
  bytes?: number;
}

/** What a backup cannot be restored without; prune is reachability over these. */
export type Need = { backup: Id } | { log: LineageId; from: Lsn; to: Lsn } | { held: Held } | { key: string };

/** One sealed stream, as the manifest records it. `bytes` and `sha256` are of the plain stream. Objects concatenated are the sealed stream. */
export interface PieceRef {
  name: string;
  bytes: number;
  sha256: string;
  stored: { bytes: number; sha256: string };
  blockBytes: number;
  objects: readonly { key: string; bytes: number; blocks: readonly string[] }[];
  /** Stages of this piece where they are not the manifest's; empty = it is stored as it came. */
  line?: readonly string[];
}

/** What a target yields: a stream for the line, or a reference to what another tool holds. */
export type Piece =
  | {
      name: string;
      bytes: Bytes;
      /** They are sealed already, for whoever takes the next backup, and are stored as they are. */
      sealed?: true;
    }
  /** `failed` = stores that do not hold it, with why. */
  | { name: string; held: Held; failed?: readonly { store: Store; error: unknown }[] };

/** A directory outside the data directory that belongs to it. The stream of a backup for it is `tablespace-<oid>.tar`. */
export interface Tablespace {
  oid: string;
  name: string;
  /** Absolute path on the source. */
  location: string;
}

/** The WAL that a backup has inside. */
export interface WalRange {
  timeline: number;
  from: Lsn;
  to: Lsn;
  segmentBytes: number;
  /** The first half of the SHA-256 of its last segment, as keys of WAL have it; unknown for WAL-G's, and for backups from before it was kept. */
  hash?: string;
}

/** What a target knows once the last byte is out. `identity` is compared before every backup and restore. */
export interface Facts {
  identity: Readonly<Record<string, string>>;
  /** The instant to which a restore of this backup alone brings the data. */
  at: Date;
  lineage?: LineageId;
  wal?: WalRange;
  tablespaces?: readonly Tablespace[];
  needs: readonly Need[];
  /** Plain bytes of the data itself, without what comes and goes beside it (WAL): by it a backup is compared with those before. */
  contentBytes?: number;
  /** What another tool added to its repository in a store, for a backup whose objects do not say it; bytes. */
  addedBytes?: number;
  baseline: Readonly<Record<string, unknown>>;
  versions: Readonly<Record<string, string>>;
  notCovered: readonly string[];
  warnings: readonly string[];
  /** What should be in the backup and is not, although it restores: told with the warnings, kept, and the run ends as partial. */
  lacks?: readonly string[];
  /** A part of the data that had content in the good backup before and has none now: an anomaly, however small that part is. */
  emptied?: string;
}

/** The record that makes a backup exist. Instants are ISO 8601 UTC. */
export interface Manifest {
  version: 1;
  id: Id;
  env: string;
  kind: string;
  name: string;
  engine: string;
  identity: Readonly<Record<string, string>>;
  lineage?: LineageId;
  startedAt: string;
  recoveryPointAt: string;
  finishedAt: string;
  /** Stages in sealing order, e.g. ["zstd", "age"]. */
  line: readonly string[];
  recipients: readonly string[];
  pieces: readonly (PieceRef | { name: string; held: Held })[];
  needs: readonly Need[];
  wal?: WalRange;
  tablespaces?: readonly Tablespace[];
  baseline: Readonly<Record<string, unknown>>;
  versions: Readonly<Record<string, string>>;
  notCovered: readonly string[];
  warnings: readonly string[];
  contentBytes?: number;
  /** What another tool added to its repository in a store, for a backup whose objects do not say it; bytes. */
  addedBytes?: number;
  /** Why the backup is not to be trusted although it is whole: sharply smaller than those before. It counts as failed. */
  anomaly?: string;
  /** The person said that the source really became smaller: sizes before this one no longer count. */
  sizeAccepted?: boolean;
}

/** A backup as one store shows it: the signed manifest was read from there and its signature checked. */
export interface Known {
  manifest: Manifest;
  /** Names of the stores that hold the byte-identical manifest. */
  stores: readonly string[];
}

/** A manifest as it was read from a store at a time when the listing showed this size and instant (ISO 8601). */
export interface Remembered {
  bytes: number;
  modified: string;
  raw: string;
}

/** Manifests never change, so this host may keep what it read. Only ever a short cut: it answers empty rather than failing. */
export interface ManifestCache {
  load(base: string, store: string): Promise<ReadonlyMap<string, Remembered>>;
  /** Replaces what is kept of one target in one store. */
  save(base: string, store: string, manifests: ReadonlyMap<string, Remembered>): Promise<void>;
}

/** The keys that this host has. What it lacks is undefined, and is asked for only when used. */
export interface Keys {
  /** age recipients (`age1…`); empty = backups are not encrypted. */
  recipients: readonly string[];
  /** Throws BkpError('usage') naming the setting when this host has none. */
  identity(): string;
  /** Signs bytes with this host's ed25519 key; throws BkpError('usage') naming the setting when it has none. */
  sign(bytes: Uint8Array): { key: string; signature: string };
  /** 32 bytes derived one-way from this host's signing key, for what backups themselves read again; throws as `sign` does. */
  own(purpose: string): Buffer;
  /** True only when `key` is trusted by the config and the signature is right. */
  verify(bytes: Uint8Array, signed: { key: string; signature: string }): boolean;
  /** As `verify`, in another thread: thousands of signatures take a second of this one. */
  verifyAside(bytes: Uint8Array, signed: { key: string; signature: string }): Promise<boolean>;
}

/** What an operation on one target of one environment has to hand. */
export interface TargetContext<C = unknown> {
  env: string;
  kind: string;
  name: string;
  /** The entry of the config, its secrets resolved. */
  config: C;
  /** `<prefix>/<env>/<kind>/<name>`: every key of this target starts with it and a `/`. */
  base: string;
  /** The stores of this target, in the order of the config. */
  stores: readonly Store[];
  /** Fewest stores that must hold a backup or a WAL segment for it to exist. */
  need: number;
  keys: Keys;
  /** Only for what shows backups; what restores or deletes reads the stores themselves. */
  cache?: ManifestCache;
  /** Zone of the config, for times without an offset. */
  timezone: string;
  /** First day of the weeks that retention counts. */
  weekStart: 'sunday' | 'monday';
  run: Runner;
  clock: Clock;
  report: Reporter;
  /** Takes secrets out of a text that is kept elsewhere, such as a record in a store. */
  redact?: (text: string) => string;
  signal: AbortSignal;
  /** An empty directory of this operation's own, removed at its end. */
  scratch(): Promise<string>;
}

/** What an operation on a whole environment has to hand. */
export interface StackContext extends Pick<TargetContext, 'env' | 'stores' | 'keys' | 'clock' | 'report' | 'signal' | 'redact'> {
  /** `<prefix>/<env>`: every key of this environment starts with it and a `/`. */
  base: string;
}

/** What the person asked `restore` for; at most one of the targets is set. */
export interface Want {
  /** Everything that was archived, on top of `backup` or the newest one. */
  latest?: boolean;
  backup?: Id | 'latest';
  time?: Date;
  /** `time` to the microsecond, as PostgreSQL reads it. */
  exact?: string;
  lsn?: Lsn;
  xid?: string;
  point?: string;
}

/** What was reached, in the words of `restore`'s result. */
export interface Reached {
  at?: Date;
  lsn?: Lsn;
  /** Lines for the person: where it is, how to start it. */
  next: readonly string[];
  /** What came back otherwise than it was recorded, where the end of the backup itself was restored; told as warnings before. */
  differs?: readonly string[];
  facts: Readonly<Record<string, unknown>>;
}

export interface RestoreRequest {
  want: Want;
  /** Absolute path to restore into; what `elsewhere` knows stands as it was given. */
  to: string;
  force: boolean;
  serve: boolean;
  owner?: string;
  /** Where tablespaces go: location or name on the source → absolute path here. */
  tablespaces?: ReadonlyMap<string, string>;
  /** Into the running source instead of a directory; `to` is then its address in words. Only for kinds with `online`. */
  online?: boolean;
  /** Takes a backup of what the running source holds now. @returns its id */
  secure?(): Promise<Id>;
  /** A part of the whole stack, which is to run on this host: what its server needs is to be here, or it is refused unless forced. */
  toRun?: boolean;
  /** The options of this kind (core/restoreOptions.ts) that were given, by their long names without dashes. */
  options?: Readonly<Record<string, OptionValue>>;
  /** Only plan and print. */
  dryRun: boolean;
  /** Asked once, after the plan is shown and before anything changes. Rejects with BkpError('aborted' | 'refused'). */
  confirm(plan: readonly string[]): Promise<void>;
}

/** One store as `verify` sees it. */
export interface StoreLook {
  store: Store;
  /** Backups whose manifest is in this store. */
  known: readonly Known[];
  /** The complete listing under `base/`. */
  objects: readonly ObjectInfo[];
  deep(key: string): boolean;
  /** Begin of the window from which on every instant is to be reachable; absent = of everything that there is. */
  cutoff?: Date;
}

/** Log that a store lacks although it has later parts of it. */
export interface WindowGap {
  /** Names of the first and the last missing file, and how many they are. */
  first: string;
  last: string;
  segments: number;
  /** First position that is gone. */
  from: Lsn;
  /** Backups that cannot be rolled forward past it. */
  breaks: readonly Id[];
  /** The backup with whose end (`at`, ISO 8601) every instant can be reached again; absent = none yet. */
  next?: { backup: Id; at: string };
  /** No fault: it lies before the window of the retention, so prune took what is missing, or the store gets no log. */
  expected: boolean;
}

/** From when to when every instant can be reached out of one store. Instants are ISO 8601 UTC, the last one to the microsecond. */
export interface WindowLine {
  store: string;
  lineage: LineageId;
  /** What it was restored from, and up to where; absent for an original and for a declared gap. */
  parent?: { lineage: LineageId; lsn: Lsn };
  systemIdentifier: string;
  /** Timelines that it goes through, oldest first; `until` is the position at which one was left. */
  timelines: readonly { timeline: number; until?: Lsn }[];
  /** End of its first backup. */
  from: string;
  to: string;
  /** What `to` is: the last commit; the end of its newest backup, behind which nothing was committed; or when the store got the last segment. */
  toIs: 'commit' | 'backup' | 'stored';
  fromLsn: Lsn;
  toLsn: Lsn;
  /** Archived segments of it; 0 = a single point, the end of a backup. */
  segments: number;
  backups: readonly Id[];
  /** What is missing behind it. */
  gaps: readonly WindowGap[];
  /** It is the one that grows: of those behind which nothing is missing, the one with the newest backup. */
  live: boolean;
}

/** What one store lets a restore choose from; `notes` say what belongs to no window, `unproven` what this host could not look into. */
export interface Windows {
  lines: readonly WindowLine[];
  notes: readonly { state: 'note' | 'unproven'; text: string }[];
}

/**
 * One thing that was tried on a restored copy. `fail` = the backup does not come back right; `unproven` = this host could not try it, and
 * `mend` says what to do; `note` is told and stands in nobody's way.
 */
export interface Trial {
  name: string;
  state: 'ok' | 'note' | 'fail' | 'unproven';
  text: string;
  mend?: string;
  /** How long it took. */
  seconds?: number;
  /** The instant to which it showed that the data was brought, where that is not the backup's own (`recoveryPointAt`). */
  reachedAt?: Date;
}

/** What the time of a proof goes to: bringing the backup to the disk, until its server answers, and looking whether all is right. */
export type Phase = 'restore' | 'start' | 'prove';

/** What the proof of one backup works with. */
export interface ProofRequest {
  manifest: Manifest;
  /** What it builds on, oldest first. */
  parents?: readonly Manifest[];
  /** Absolute path of an empty directory. All that the proof makes lies in it, and the caller removes it. */
  dir: string;
  /** Plain bytes of a piece, throwing at its end when they do not match the manifest. */
  read(piece: PieceRef): Bytes;
  /** Only for kinds with a log: everything that was archived on top of the backup, as `restore --latest` brings it, and not its own end. */
  latest?: boolean;
  /** Says what begins now; a proof begins with `restore`. */
  enter?(phase: Phase): void;
}

/** One thing of the platform that holds data, and the backup that has it or why there is none. */
export interface Holding {
  /** `server`, `volume`, `persistent volume`, `claim`, `claim files`, `host path`, `path`, `tablespace`. */
  kind: string;
  name: string;
  id?: string;
  detail?: string;
  /** `target` = `kind/name` of an entry, `at` = the recovery point, ISO 8601. */
  coveredBy?: { target: string; backup: Id; at: string };
  why?: string;
  /** There is nothing in it. */
  empty?: boolean;
}

/** One thing that a service elsewhere keeps for an entry. `backup` is the id that it was made for. */
export interface HeldElsewhere {
  id: string;
  backup: Id;
  /** Name of the store in which it lies, where another tool keeps it there: then only manifests of that store need it. */
  store?: string;
  at: Date;
  bytes: number;
  text: string;
}

/** A service that keeps backups outside our stores, and what bkp may do there: only with what bears this entry's own marks. */
export interface Holder {
  /** For sentences, such as `Hetzner`. */
  name: string;
  /** All of it, or an error: what is not listed counts as not there. */
  list(): Promise<HeldElsewhere[]>;
  /** Lets go of these, an item for each in their order; `locked` = the service itself protects it. */
  release(held: readonly HeldElsewhere[]): AsyncIterable<PerItem>;
}

/** A backup of another tool that has no manifest yet. `stores` are those in which it is whole. */
export interface Found {
  startedAt: Date;
  held: Held;
  facts: Facts;
  stores: readonly Store[];
}

/** What another tool left outside the stores, such as a snapshot file on a node: stored, it is a backup of its own. */
export interface Pending {
  /** The other tool's name for it. */
  name: string;
  /** When it was taken; with `random`, at least three bytes, it makes the id, so that whoever stores it gives it the same. */
  startedAt: Date;
  random: Uint8Array;
  /** As `Target.capture`; the file itself stays where it is. */
  capture(known: readonly Known[]): AsyncGenerator<Piece, Facts>;
}

/** A backup that stays, as the log's retention sees it. */
export interface Stay {
  manifest: Manifest;
  /** Something may be rolling it forward just now, or somebody wants to be able to: the log after it stays too. */
  guarded: boolean;
}

/** Parts of a log that a store lacks although it has later ones. */
export interface LogGap {
  /** Names of the first and the last part that is missing. */
  first: string;
  last: string;
  from: Lsn;
  until: Lsn;
  /** When the store got what lies right before it. */
  at: Date;
}

/** The newest that a store holds of a log. */
export interface LogState {
  lineage: LineageId;
  /** When the store got its newest part. */
  at: Date;
  /** Where its oldest segment begins. */
  begins?: Lsn;
  /** First position that is no longer in it. */
  end: Lsn;
  /** By position; absent where there are none. */
  gaps?: readonly LogGap[];
}

/** At that instant the source had committed what lies before that position, as it is on record apart from the log itself. */
export interface LogMark {
  at: Date;
  position: Lsn;
}

/** What a kind has to say to a clean machine. */
export interface KitHelp<C = any> {
  /** Programs that a restore needs, as the newest backup wants them. Pure. */
  tools(ctx: TargetContext<C>, newest: Manifest | undefined): readonly KitTool[];
  /** Words of `bkp restore` that say where to, where the config says nothing. Pure. */
  place?: readonly string[];
  /** Sentences for the runbook, after the command. Pure. */
  steps?(ctx: TargetContext<C>, newest: Manifest | undefined): readonly string[];
  /** Secrets that only the source or a backup has, by short names; `read` opens a piece of `newest`. Throws where one has to be and is not. */
  secrets?(
    ctx: TargetContext<C>,
    newest: Manifest | undefined,
    read: (piece: PieceRef) => Bytes,
  ): AsyncIterable<{ name: string; bytes: Buffer; fingerprint: string }>;
  /** Whether a backup holds the datastore, Secrets and all, of the Kubernetes whose namespace kube-system has this uid. Pure. */
  holdsCluster?(manifest: Manifest, kubeSystem: string): boolean;
}

/** What a running source says of itself. `position` is how far its log has got; `checks` are its archiver, slot and the like. */
export interface LiveState {
  lineage?: LineageId;
  position?: Lsn;
  checks: readonly Check[];
}

export interface CaptureOptions {
  id: Id;
  newLineage: boolean;
  known: readonly Known[];
  /** A full one is wanted, whatever would be due. */
  full?: boolean;
  /** Tells prune to leave a backup alone until this one is committed: called before an increment is made from it. */
  pin(id: Id): Promise<void>;
}

/** One kind of thing that can be backed up. What a target cannot do is missing, and is then not offered. */
export interface Target<C = any> {
  kind: string;
  /** The shape of one named entry of this kind in the config, beyond what every entry has (stores, need, schedule, retention, rpo). */
  config: ZodType<C>;
  /** The target that does the work for an entry, where its engines can do different things. */
  variant?(config: C): Target<C>;
  /** Default schedule (cron, in the config's zone) and RPO of this kind, and the kinds that full-dr brings back before it. */
  defaults: { schedule: string; rpo: string; retention: Readonly<Record<string, unknown>>; after?: readonly string[] };
  doctor(ctx: TargetContext<C>): AsyncIterable<Check>;
  /** Yields every piece, then returns the facts after the last byte. Checks identity and refuses before the first byte. */
  capture(ctx: TargetContext<C>, options: CaptureOptions): AsyncGenerator<Piece, Facts>;
  /** The running source into which `restore --online` writes, in words. */
  online?(ctx: TargetContext<C>): string;
  /** Whether `restore --to` names something else than a directory of this host that this kind restores into. Pure. */
  elsewhere?(to: string): boolean;
  /** `read` yields the plain bytes of a piece, throwing at its end when they do not match the manifest. */
  restore(
    ctx: TargetContext<C>,
    request: RestoreRequest,
    known: readonly Known[],
    read: (piece: PieceRef, from: readonly Store[]) => Bytes,
    /** Called before anything of a backup is read: from then on prune leaves it alone. Reading a piece does the same. */
    begin?: (id: Id) => Promise<void>,
  ): Promise<Reached | undefined>;
  /**
   * Gives stores that lack parts of the log of a lineage what others have; called after a backup. What lies before `cutoff` and is needed
   * by none of a store's `known` backups is left out: prune took it away. @returns how many were copied.
   */
  healLog?(ctx: TargetContext<C>, lineage: LineageId, kept: { known: readonly Known[]; cutoff?: Date }): Promise<number>;
  /** Backups that another tool has in the stores and that have no manifest, oldest first; what cannot be adopted is a warning. */
  adopt?(ctx: TargetContext<C>, known: readonly Known[]): AsyncIterable<Found>;
  /** What another tool took by itself and no store holds, oldest first. Asked after each backup, and by `backup --adopt`. */
  pending?(ctx: TargetContext<C>, known: readonly Known[]): AsyncIterable<Pending>;
  /** Key prefixes outside `base` that belong to an entry: archives that were there before bkp. */
  places?(ctx: TargetContext<C>): readonly string[];
  /**
   * Why a backup that another tool holds has to stay in a store after all; asked right before it is removed, with the manifests that stay.
   */
  guard?(ctx: TargetContext<C>, store: Store, manifest: Manifest): Promise<string | undefined>;
  /** What holds data as far as this kind can see, and whether the newest good backup has it. Throws BkpError when it cannot look. */
  coverage?(ctx: TargetContext<C>, newest: Manifest | undefined): AsyncIterable<Holding>;
  /**
   * Gives a store what another tool has of a backup in a store, by that tool's own means and without naming its objects in the manifest;
   * called before the manifest is copied. Throws BkpError when the store does not have it afterwards.
   */
  copyHeld?(ctx: TargetContext<C>, manifest: Manifest, from: Store, to: Store): Promise<void>;
  /** The service that keeps what manifests of this entry name and no store of ours holds; undefined where there is none. */
  holder?(ctx: TargetContext<C>): Holder | undefined;
  /** Objects of a listing that are left of runs which did not end, beside `backups/`, each with why. Pure. */
  orphans?(ctx: TargetContext<C>, objects: readonly ObjectInfo[], before: Date): { key: string; bytes: number; reason: string }[];
  /** Whether a key, given without `base/`, is one that this kind writes beside its backups. */
  owns?(path: string): boolean;
  /** Looks at what this kind keeps beside its backups in one store. `deep` says which objects are read whole. */
  verify?(ctx: TargetContext<C>, look: StoreLook): AsyncIterable<Finding>;
  /**
   * Restores one backup to its own end on a server that it starts itself, in `request.dir`, tries that all is there and works, and leaves
   * nothing running. What fails is a trial. Throws BkpError('storeUnreachable') when the store falls silent, and the signal's reason.
   */
  prove?(ctx: TargetContext<C>, request: ProofRequest): AsyncIterable<Trial>;
  /** From when to when every instant can be reached out of one store; `look.known` are the whole backups in it. Reads histories and last segments. */
  windows?(ctx: TargetContext<C>, look: StoreLook): Promise<Windows>;
  /** archive_command and restore_command by hand; `dataDir` is the server's. `fetch` answers undefined only at the proven end of the log. */
  log?: {
    push(ctx: TargetContext<C>, name: string, path: string, dataDir: string): Promise<void>;
    fetch(ctx: TargetContext<C>, name: string, dataDir: string): Promise<Buffer | undefined>;
    /**
     * Reads ahead of `fetch` for one server, after the file `name` was handed out, until nothing is asked any more. `wanted` says whether that
     * is worth a process.
     */
    ahead?: {
      wanted(ctx: TargetContext<C>, name: string, dataDir: string): Promise<boolean>;
      run(ctx: TargetContext<C>, name: string, dataDir: string): Promise<void>;
    };
    /** Those of the target's stores that are to get the log. */
    stores(ctx: TargetContext<C>): readonly Store[];
    /** The newest of each lineage in one store's listing under `base/`, as far as the manifests of `known` tell how to count it. Pure. */
    state(ctx: TargetContext<C>, objects: readonly ObjectInfo[], known: readonly Known[]): LogState[];
    /**
     * What the source is on record to have committed in a lineage, oldest first; empty without a record. Stores that do not answer are left out.
     * @throws BkpError('verifyFailed') for a record that is not to be trusted
     */
    marks?(ctx: TargetContext<C>, lineage: LineageId): Promise<readonly LogMark[]>;
    /** Keys of one store's listing that no kept backup and no instant of the window needs, each with why. Pure. */
    expired(
      ctx: TargetContext<C>,
      objects: readonly ObjectInfo[],
      kept: readonly Stay[],
      cutoff: Date,
      /** Every manifest that was read, those that go too: what is none of theirs may need any of it. */
      all?: readonly Manifest[],
    ): { key: string; bytes: number; reason: string }[];
    /** Ids of backups in a store with which nothing of its log goes on, though they say that they are of one history: they stand in for no other. */
    apart?(ctx: TargetContext<C>, objects: readonly ObjectInfo[], manifests: readonly Manifest[]): ReadonlySet<Id>;
    /** Keys of the few objects in a store without which the log behind a backup cannot be read, other than the log itself. */
    records?(ctx: TargetContext<C>, store: Store, manifest: Manifest): Promise<string[]>;
    /** Bytes of log between two positions. */
    distance(from: Lsn, to: Lsn): number;
  };
  /** How a program that keeps its own archive in our stores is told to work with it by itself. */
  program?: {
    name: string;
    /** The newest lineage that the stores have on record. */
    lineage(ctx: TargetContext<C>): Promise<LineageId | undefined>;
    /** Its settings as environment variables, for one store. Throws BkpError('usage' | 'refused') where there are none. */
    settings(
      ctx: TargetContext<C>,
      store: Store,
      lineage: LineageId | undefined,
    ): { plain: Readonly<Record<string, string>>; secret: Readonly<Record<string, string>> };
  };
  /** Asks the source how it is. Throws BkpError when it does not answer. */
  live?(ctx: TargetContext<C>): Promise<LiveState>;
  /** What `bkp kit` needs of this kind. */
  kit?: KitHelp<C>;
  /** Ships a log until `signal` fires. */
  stream?(ctx: TargetContext<C>, options: { newLineage: boolean }): Promise<void>;
}
