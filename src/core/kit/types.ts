/** What the file is called inside the kit by which all the others are checked. */
export const META = 'kit.json';
export const CONFIG = 'bkp.yaml';
export const IDENTITY = 'identity.txt';
export const RUNBOOK = 'RUNBOOK.md';

/** A `${…}` of the config whose value is in the kit, and the file that has it. */
export interface KitSecret {
  /** Where it stands in the config. */
  path: string;
  /** As it is written in the config: `${NAME}` or `${file:/path}`. */
  reference: string;
  /** Name of the file in the kit. */
  file: string;
}

/** What brings a program that a restore needs. */
export interface KitTool {
  program: string;
  /** The version that the newest backup was made with. */
  version?: string;
  /** The package of Debian that has it, or in words where it comes from. */
  from: string;
}

/** One entry of the environment as the kit saw it. */
export interface KitTarget {
  kind: string;
  name: string;
  /** Its newest good backup then; absent = there was none, or no store answered. */
  newest?: { id: string; at: string };
  tools: readonly KitTool[];
}

/** One private key of the sealed-secrets controller; `sha256` is of the key, in hex. */
export interface SealingKey {
  namespace: string;
  name: string;
  sha256: string;
}

/** `kit.json`: what a kit is, for those who check it. No secret is in it. */
export interface KitMeta {
  version: 1;
  id: string;
  env: string;
  /** ISO 8601, UTC. */
  madeAt: string;
  tool: string;
  /** Name → bytes and SHA-256 in hex of every other file. */
  files: Readonly<Record<string, { bytes: number; sha256: string }>>;
  /** Recipients to which this platform seals. */
  sealedFor: readonly string[];
  /** Recipients that belong to the identity inside. */
  opens: readonly string[];
  secrets: readonly KitSecret[];
  /** References of the config that are not in the kit, and why. */
  leftOut: readonly { path: string; reference: string; why: string }[];
  /** `own` = keys of the kit alone, `shared` = those with which this platform writes, `none` = the store needs none. */
  storeKeys: Readonly<Record<string, 'own' | 'shared' | 'none'>>;
  targets: readonly KitTarget[];
  /** What the config said, by path: a short hash of each value, to tell what has changed since. */
  said: Readonly<Record<string, string>>;
  /** Absent = no cluster was asked. */
  cluster?: { sealingKeys: readonly SealingKey[] };
  /** Secrets that only a backup or the source has, such as a server token, each with the target and a fingerprint. */
  tokens: readonly { target: string; file: string; fingerprint: string }[];
}
