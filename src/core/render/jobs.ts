import type { Config, Environment, NotifierEntry, TargetEntry } from '../config/types.ts';
import { parseDuration } from '../duration.ts';
import { wantsVerb } from '../notify/select.ts';
import { NOTIFYING, type NotifyVerb } from '../notify/types.ts';
import { checked, shortestIntervalMs } from './cron.ts';

export type Verb = 'backup' | 'stream' | 'prune' | 'verify' | 'drill' | 'status';

/** Every entry of an environment, as one target. */
export const FULL_DR = 'full-dr';

/** Cron expressions of what has no schedule in the config. */
export type Schedules = Readonly<Record<'prune' | 'verify' | 'drill' | 'status', string>>;

export const SCHEDULES: Schedules = { prune: '30 5 * * *', verify: '30 6 * * *', drill: '0 7 1 * *', status: '*/5 * * * *' };

/** What a kind can do beyond backup, as its target says. */
export interface Traits {
  live: boolean;
  stream: boolean;
  /** Whether a backup of such an entry can be brought back apart from its source. */
  drill(entry: TargetEntry): boolean;
}

/** One entry of the config. */
export interface Part {
  kind: string;
  name: string;
  entry: TargetEntry;
}

/** One thing that runs by itself: by a schedule, or, without one, for ever. */
export interface Job extends Part {
  verb: Verb;
  /** All that it works on: itself, or, of `full-dr`, whose name is empty, several. */
  parts: readonly Part[];
  /** The words after `bkp`. */
  args: string[];
  schedule?: string;
  /** For how long a run may take, seconds. */
  limitS: number;
  /** How late a run that was missed may still begin, seconds. */
  lateS: number;
  /** Tries after the first that fails for a reason that may pass. */
  retries: number;
  /** Talks to the source; the others only to the stores. */
  source: boolean;
  /** Signs what it writes. */
  signs: boolean;
  /** Opens what is sealed. */
  identity: boolean;
  /** Those that it tells. */
  notifiers: readonly NotifierEntry[];
}

/** What a verb is started with, and what it needs. */
interface Trade {
  words: readonly string[];
  signs: boolean;
  identity?: boolean;
  retries: number;
  least: string;
  most: string;
}

const VERBS: Readonly<Record<Verb, Trade>> = {
  backup: { words: [], signs: true, retries: 2, least: '1h', most: '24h' },
  stream: { words: [], signs: true, retries: 0, least: '1h', most: '24h' },
  prune: { words: ['--confirm'], signs: true, retries: 1, least: '1h', most: '6h' },
  verify: { words: ['--sample', '5%'], signs: true, retries: 1, least: '1h', most: '12h' },
  drill: { words: [], signs: true, identity: true, retries: 1, least: '4h', most: '24h' },
  status: { words: [], signs: false, retries: 0, least: '4m', most: '30m' },
};

const within = (least: number, value: number, most: number): number => Math.min(Math.max(value, least), most);

/** A run may take one interval of its schedule: a hung one is ended before it has cost two. */
function times(schedule: string, verb: Verb): { limitS: number; lateS: number } {
  const interval = shortestIntervalMs(schedule);
  const { least, most } = VERBS[verb];
  return {
    limitS: Math.floor(within(parseDuration(least), interval, parseDuration(most)) / 1000),
    lateS: Math.floor(within(120_000, interval / 2, 4 * 3_600_000) / 1000),
  };
}

const streams = ({ stream }: Traits, entry: TargetEntry): boolean => stream && (entry.engine !== 'native' || entry['spool'] !== undefined);

const isNotifying = (verb: string): verb is NotifyVerb => (NOTIFYING as readonly string[]).includes(verb);

/** Who is told of what a command of an environment came to. */
export const notifiersOf = ({ notify }: Environment, verb: string): NotifierEntry[] =>
  isNotifying(verb) ? Object.values(notify ?? {}).filter(each => wantsVerb(verb, each)) : [];

/** One job of one entry. Throws BkpError('usage') for a schedule that other schedulers do not know. */
export function jobOf(env: Environment, verb: Verb, { kind, name, entry }: Part, schedule: string | undefined, live: boolean): Job {
  const { words, signs, retries, identity = false } = VERBS[verb];
  if (schedule !== undefined) checked(schedule, `schedule of ${verb} ${kind}/${name}`);
  return {
    ...{ verb, kind, name, entry, signs, identity, retries },
    parts: [{ kind, name, entry }],
    notifiers: notifiersOf(env, verb),
    args: ['--env', env.name, verb, kind, ...(name ? [name] : []), ...words],
    ...(schedule === undefined ? {} : { schedule }),
    ...times(schedule ?? '@daily', verb),
    source: verb === 'backup' || verb === 'stream' || (verb === 'status' && live),
  };
}

/**
 * Everything of one entry that runs by itself.
 * @throws BkpError('usage') for a schedule that other schedulers do not know
 */
export function jobsOf(env: Environment, kind: string, name: string, traits: Traits, schedules: Schedules): Job[] {
  const entry = env.targets[kind]![name]!;
  const job = (verb: Verb, schedule?: string): Job => jobOf(env, verb, { kind, name, entry }, schedule, traits.live);
  return [
    job('backup', entry.schedule),
    ...(streams(traits, entry) ? [job('stream')] : []),
    job('prune', schedules.prune),
    job('verify', schedules.verify),
    job('status', schedules.status),
  ];
}

/** Zone of a config by its proper name: `europe/berlin` is known to Node, and to no scheduler. */
export function zoneOf({ timezone }: Pick<Config, 'timezone'>): string {
  const proper = new Intl.DateTimeFormat('en', { timeZone: timezone }).resolvedOptions().timeZone;
  return proper.toLowerCase() === timezone.toLowerCase() ? proper : timezone;
}
