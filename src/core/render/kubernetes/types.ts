import type { Config, Environment } from '../../config/types.ts';
import type { Job, Schedules, Traits } from '../jobs.ts';

/** What an operator says of the cluster. */
export interface KubernetesOptions {
  namespace: string;
  /** The namespace is somebody else's to make. */
  existingNamespace: boolean;
  image: string;
  /** What the names of all Secrets begin with. */
  secretName: string;
  /** Shapes of SealedSecrets to fill in, in place of Secrets that are only referred to. */
  sealed: boolean;
  storageClass?: string;
  storeSize: string;
  spoolSize: string;
  scratchSize: string;
  /** Of the claim for temporary files that a drill has while it runs. */
  drillSize: string;
  /** Restores are rehearsed, which takes the age identity. */
  drill: boolean;
  schedules: Schedules;
  /** Address of a pushgateway, or a reference to a variable that holds it. */
  pushgateway?: string;
  /** A PrometheusRule, where there is a pushgateway. */
  rules: boolean;
  /** What has to run on a server node runs there as a Job; else it is left to systemd. */
  nodeJobs: boolean;
  /** WAL-G's settings by entry of postgres, for pods of databases. */
  walg: readonly { name: string; plain: Readonly<Record<string, string>>; secret: Readonly<Record<string, string>> }[];
}

/** What all parts are made from. */
export interface World {
  config: Config;
  env: Environment;
  options: KubernetesOptions;
  /** By kind. */
  traits: Readonly<Record<string, Traits>>;
}

/** A claim of an entry: of one of its stores that is a directory, or of the spool of a stream. */
export interface Claim {
  name: string;
  path: string;
  size: string;
  /** What lies in it, for a comment. */
  what: string;
}

/** One entry with its jobs and its place; or `full-dr`, whose name is empty, with a drill of several. */
export interface Subject {
  kind: string;
  name: string;
  namespace: string;
  /** It runs on a server node, as root. */
  node: boolean;
  jobs: readonly Job[];
  /** Behind its stores that are directories. */
  claims: readonly Claim[];
  /** The ConfigMap that its pods read, when it is not that of all. */
  config?: string;
}

/** One object; `why` are lines of a comment above it. `yours` = to be filled in, and then left alone. */
export interface Rendered {
  /** Name of its file, without a directory. */
  file: string;
  why: readonly string[];
  object: Record<string, any>;
  yours?: true;
}

/** Namespace of what runs on nodes: Pod Security would refuse it in the other one. */
export const nodeNamespace = ({ namespace }: KubernetesOptions): string => `${namespace}-node`;
