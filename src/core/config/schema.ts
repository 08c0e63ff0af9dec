import { Cron } from 'croner';
import { z } from 'zod';
import { DURATION } from '../duration.ts';

/** What the loader knows of the kinds of targets and stores; core itself knows none. */
export interface Registry {
  kinds: Readonly<
    Record<string, { config: z.ZodType; defaults: { schedule: string; rpo: string; retention: Readonly<Record<string, unknown>> } }>
  >;
  stores: Readonly<Record<string, { config: z.ZodType }>>;
}

export const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

const name = z.string().regex(NAME, 'a name is lower-case letters, digits and dashes, at most 63');
const duration = z.string().regex(DURATION, 'a duration is a whole number and a unit, like 15m, 12h or 30d');
const count = z.int('a count is a whole number').min(0, 'a count is not negative');

const cron = z.string().refine(text => {
  try {
    new Cron(text, { paused: true });
    return true;
  } catch {
    return false;
  }
}, 'not a cron expression: five fields, like "0 2 * * *"');

const zone = z.string().refine(text => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}, 'not a time zone: use a name like UTC or Europe/Berlin');

const COUNTS = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

const retention = z
  .strictObject({
    last: count.optional(),
    hourly: count.optional(),
    daily: count.optional(),
    weekly: count.optional(),
    monthly: count.optional(),
    yearly: count.optional(),
    within: duration.optional(),
    wal: duration.optional(),
  })
  .refine(
    policy => policy.within !== undefined || COUNTS.some(key => (policy[key] ?? 0) > 0),
    'a retention that keeps nothing is refused: set a count above 0, or within',
  );

const common = {
  stores: z.array(name).min(1).optional().describe('stores of this target; default: every store of the environment'),
  need: z.int().min(1).default(1).describe('fewest stores that must hold a backup for it to exist'),
  schedule: cron.optional().describe('cron expression, read in `timezone`'),
  rpo: duration.optional().describe('how much may be lost at most'),
  retention: retention.optional(),
};

const keys = z.strictObject({
  recipients: z.array(z.string().regex(/^age1[0-9a-z]+$/, 'a recipient begins with age1: bkp keygen makes one')).default([]),
  identity: z.string().optional().describe('age identity; only where restores and drills run'),
  signing: z.string().optional().describe('signing key; only where backups run'),
  trusted: z
    .array(z.string().regex(/^bkp-ed25519-[A-Za-z0-9_-]{43}$/, 'a verify key begins with bkp-ed25519-: bkp keygen makes one'))
    .min(1),
  unencrypted: z.boolean().default(false).describe('true = no recipients on purpose: whoever reads the store reads the data'),
});

const entryOf = (kind: Registry['kinds'][string]): z.ZodType => (kind.config as z.ZodObject).extend(common);

const environmentOf = (registry: Registry) => {
  const kinds = Object.entries(registry.kinds).map(([kind, target]) => [kind, z.record(name, entryOf(target)).optional()] as const);
  const stores = Object.values(registry.stores).map(store => store.config as z.ZodObject);
  return z.strictObject({
    protected: z.boolean().default(false).describe('true = a restore wants the name of the environment typed'),
    restoresFrom: name.optional().describe('environment whose backups restores and drills of this one use'),
    prefix: z.string().default('bkp').describe('first part of every key in the stores'),
    stores: z
      .record(name, z.discriminatedUnion('type', stores as never))
      .refine(all => Object.keys(all).length > 0, 'at least one store is needed'),
    ...Object.fromEntries(kinds),
  });
};

/** The whole shape of a config file, for the kinds and stores of `registry`. */
export const configShape = (registry: Registry) =>
  z.strictObject({
    timezone: zone.default('UTC'),
    weekStart: z.enum(['sunday', 'monday']).default('sunday'),
    defaultEnv: name.optional(),
    temp: z.string().optional().describe('directory for temporary files; default: TMPDIR, else /tmp'),
    keys,
    environments: z.record(name, environmentOf(registry)).refine(all => Object.keys(all).length > 0, 'at least one environment is needed'),
  });

export interface TargetEntry {
  engine: string;
  stores: string[];
  need: number;
  schedule: string;
  rpo: string;
  retention: Record<string, unknown>;
  [setting: string]: unknown;
}

export interface Environment {
  name: string;
  protected: boolean;
  restoresFrom?: string;
  prefix: string;
  stores: Record<string, { type: string; [setting: string]: unknown }>;
  /** kind → name → entry, defaults filled in, secrets still as written. */
  targets: Record<string, Record<string, TargetEntry>>;
}

export interface Config {
  file: string;
  timezone: string;
  weekStart: 'sunday' | 'monday';
  defaultEnv?: string;
  temp?: string;
  keys: { recipients: string[]; identity?: string; signing?: string; trusted: string[]; unencrypted: boolean };
  environments: Record<string, Environment>;
}
