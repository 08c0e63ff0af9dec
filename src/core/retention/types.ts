/** What to keep. A count that is absent or 0 is a rule that is off. Durations are milliseconds, above 0. */
export interface Policy {
  last?: number;
  hourly?: number;
  daily?: number;
  weekly?: number;
  monthly?: number;
  yearly?: number;
  within?: number;
  /** How far back a log lets choose the second; undefined = there is no log. */
  window?: number;
}

/** One backup as one store shows it. */
export interface Candidate {
  id: string;
  /** Undefined = unknown. */
  startedAt?: Date;
  /** The instant to which a restore of this backup alone brings the data. */
  endedAt?: Date;
  /** 'unreadable' = its manifest is not trusted, not ours or not of this version. */
  state: 'whole' | 'damaged' | 'unreadable';
  /** Sharply smaller than those before it: it counts as failed. */
  anomalous: boolean;
  lineage?: string;
  /** Ids of other backups without which it cannot be restored. */
  needs: readonly string[];
  /** Sentences from outside, such as `held until 2027-01-01 (audit)`: it stays whatever the policy says. */
  guards: readonly string[];
}

/** A candidate whose time is known. */
export type Dated = Candidate & { startedAt: Date };

/** When and where a decision is made. */
export interface Frame {
  now: Date;
  /** IANA name of the zone in which hours, days, weeks, months and years are counted. */
  zone: string;
  weekStart: 'sunday' | 'monday';
  /** When the store got the newest part of a log, by lineage. */
  logUntil: ReadonlyMap<string, Date>;
}

/** `reasons` are short sentences for a table, one at least. */
export interface Decision {
  id: string;
  keep: boolean;
  reasons: readonly string[];
}

/** Why backups stay: pairs of an id and a sentence, several for one id or none. */
export type Why = readonly (readonly [id: string, why: string])[];
