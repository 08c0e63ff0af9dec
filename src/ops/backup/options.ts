import type { Manifest } from '../../core/contracts.ts';
import type { Hooks } from '../hooks.ts';

export interface BackupOptions {
  newLineage: boolean;
  /** A full one, also where the config lets it be incremental. */
  full?: boolean;
  /** Percent of the usual size below which the backup is an anomaly; 0 = never. */
  alarmBelow: number;
  /** The source really became smaller: this size is the usual one from now on. */
  acceptSize: boolean;
  /** How far back a restore may choose the instant, ms: older parts of the log are not copied between stores. */
  window?: number;
  /** At least eight random bytes, for the id and a pin. */
  random: Uint8Array;
  /** Name and version of this program, for the manifest. */
  tool: string;
  /** It is a part of the restore itself: what is there now, before it is written over. */
  evenWhileRestoring?: boolean;
  /** Programs that run around it. */
  hooks?: Hooks;
  /** A warning that the backup is to carry beside its own. */
  alsoWarn?: string;
  /** When the data was taken, where another tool did that earlier; else it is now. */
  startedAt?: Date;
}

export interface BackupResult {
  manifest: Manifest;
  bytes: number;
  /** Every store of the target: whether it holds the backup, else why not. */
  stores: { name: string; ok: boolean; error?: string }[];
  healed: { id: string; store: string }[];
  /** What should be in it and is not. */
  lacks: readonly string[];
  /** Why the hook after it failed. */
  hookError?: string;
  /** 'failed' = it is there and whole, and so much smaller than those before that it counts as failed. */
  exit: 'done' | 'partial' | 'failed';
}
