import type { Id } from './contracts.ts';
import type { Evidence } from './evidence.ts';

/** What one backup takes in one store. */
export interface StoredSize {
  kind: string;
  name: string;
  backup: Id;
  /** ISO 8601 UTC. */
  startedAt: string;
  bytes: number;
}

/** All that a report of drills is made from. Texts come from stores: they are escaped where they are shown. */
export interface ReportMaterial {
  /** Whose backups were tried. */
  env: string;
  /** When the report is made, ISO 8601 UTC. */
  at: string;
  /** `bkp` and its version. */
  tool: string;
  /** Oldest first. */
  drills: readonly Evidence[];
  /** Of each target oldest first. */
  sizes: readonly StoredSize[];
  /** A sentence for each thing that could not be read or believed, and is therefore missing. */
  leftOut: readonly string[];
}

/** One report in each of its forms; Markdown and JUnit XML are of the newest drill. */
export interface Rendered {
  html: string;
  markdown: string;
  junit: string;
  /** Every drill, oldest first, without signatures. */
  json: string;
}
