import * as z from 'zod';
import type { NotifierKind } from '../notify/types.ts';
import { absolute, count, duration, name, prefix, schedule, timezone } from './fields.ts';
import { hooks } from './hooks.ts';
import { notifierFields } from './notify.ts';

/** What a kind of target brings: the fields of its entries and the built-in policy. */
export interface KindSchema {
  config: z.ZodType;
  defaults: { schedule: string; rpo: string; retention: Readonly<Record<string, unknown>>; after?: readonly string[] };
}

/** The kinds of targets (`postgres`, …), the types of stores (`directory`, …) and of notifiers that a config may name. */
export interface Registry {
  kinds: Readonly<Record<string, KindSchema>>;
  stores: Readonly<Record<string, z.ZodType | { config: z.ZodType }>>;
  /** Types of notifiers (`slack`, …); absent = there are none. */
  notifiers?: Readonly<Record<string, Pick<NotifierKind, 'config' | 'on'>>>;
}

const KEEP = { last: count, hourly: count, daily: count, weekly: count, monthly: count, yearly: count, within: duration };

/** Keep rules; a rule that is not named keeps the built-in value of the kind, so that one line never drops the others. */
function retention(defaults: Readonly<Record<string, unknown>>) {
  const extra = Object.keys(defaults).filter(key => !Object.hasOwn(KEEP, key));
  const fields: Record<string, z.ZodType> = { ...KEEP, ...Object.fromEntries(extra.map(key => [key, duration])) };
  const filled = Object.entries(fields).map(([key, field]) => [
    key,
    Object.hasOwn(defaults, key) ? field.default(defaults[key]) : field.optional(),
  ]);
  return z.strictObject(Object.fromEntries(filled)).prefault({}).describe('what prune keeps; rules not named keep their built-in value');
}

/** How an entry comes back with the whole stack. */
const fullDr = (after: readonly string[]) =>
  z
    .strictObject({
      after: z
        .array(z.string().min(1))
        .default([...after])
        .describe('kinds (`postgres`) or entries (`postgres/app`) that have to be back before this one'),
      to: z.string().min(1).optional().describe('where to; default: `dataDir` of the entry'),
      online: z.boolean().default(false).describe('into the running server instead of a directory'),
      options: z
        .record(z.string(), z.union([z.string(), z.literal(true), z.array(z.string()).min(1)]))
        .default({})
        .describe('options of `bkp restore` that only this kind has, by their long names without dashes'),
      skip: z.boolean().default(false).describe('true = no part of full-dr: it comes back in another way'),
    })
    .prefault({})
    .describe('how it comes back with `bkp restore full-dr`');

const common = (defaults: KindSchema['defaults']) => ({
  stores: z.array(name).min(1).optional().describe('stores of this entry; default: all of the environment'),
  need: z.int().min(1).max(100).default(1).describe('fewest stores that must hold a backup for it to exist'),
  schedule: schedule.default(defaults.schedule).describe("cron, in the config's time zone"),
  rpo: duration.default(defaults.rpo).describe('how much time of data may be lost at most'),
  retention: retention(defaults.retention),
  alarmBelow: z
    .int()
    .min(0)
    .max(100)
    .default(50)
    .describe('a backup smaller than this percentage of the usual size fails as an anomaly; 0 = never'),
  pruneShare: z
    .int()
    .min(1)
    .max(100)
    .default(50)
    .describe('prune halts, unless forced, when more than this percentage of the backups of a store would go'),
  fullDr: fullDr(defaults.after ?? []),
  hooks,
});

function extended(schema: z.ZodType, fields: Record<string, z.ZodType>): z.ZodType {
  if (schema instanceof z.ZodObject) return schema.safeExtend(fields).strict();
  if (schema instanceof z.ZodDiscriminatedUnion) {
    const options = schema.def.options.map(option => extended(option as z.ZodType, fields));
    return z.discriminatedUnion(schema.def.discriminator, options as [any, ...any[]]);
  }
  throw new TypeError('the schema of a kind or store must be an object or a discriminated union of objects');
}

const price = z
  .strictObject({
    gbMonth: z.number().min(0).describe('a GB (10^9 bytes) stored for a month'),
    gbEgress: z.number().min(0).default(0).describe('a GB read out of it'),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/)
      .default('EUR'),
    asOf: z.iso.date().describe('the day of the price list, for whoever reads the result'),
  })
  .optional()
  .describe('what the service charges, for `bkp cost`');

function stores(types: Registry['stores']): z.ZodType {
  const options = Object.entries(types).map(([type, schema]) =>
    extended('config' in schema ? schema.config : schema, { type: z.literal(type), price }),
  );
  return z.record(name, z.discriminatedUnion('type', options as [any, ...any[]]));
}

function notifiers(types: NonNullable<Registry['notifiers']>): z.ZodType {
  const options = Object.entries(types).map(([type, kind]) => extended(kind.config, { type: z.literal(type), ...notifierFields(kind) }));
  return z
    .record(name, z.discriminatedUnion('type', options as [any, ...any[]]))
    .default({})
    .describe('who is told how the commands end');
}

function environmentSchema(registry: Registry) {
  const kinds = Object.entries(registry.kinds).map(([kind, { config, defaults }]) => [
    kind,
    z.record(name, extended(config, common(defaults))).prefault({}),
  ]);
  return z.strictObject({
    protected: z.boolean().default(false).describe('destructive commands ask for the name of the environment'),
    restoresFrom: name.optional().describe("environment whose backups are restored here; default: this one's own"),
    cluster: z
      .strictObject({
        kubeconfig: z.string().min(1).optional().describe("path; default: kubectl's own, in a pod its service account"),
        context: z.string().min(1).optional(),
      })
      .optional()
      .describe('the Kubernetes cluster of this environment, for `bkp coverage`; an empty map is the one that kubectl takes by itself'),
    kit: z
      .strictObject({
        stores: z
          .record(name, z.record(z.string(), z.string().min(1)))
          .default({})
          .describe(
            "settings of stores in the kit in place of the stores' own: `b2: { accessKey, secretKey }` of a key that can only read",
          ),
        include: z
          .array(z.string().startsWith('/', { error: 'is no absolute path' }))
          .default([])
          .describe('files of this host that a clean machine needs too, by their absolute paths'),
        maxAge: duration.default('90d').describe('a kit that is older counts as stale'),
        every: duration
          .optional()
          .describe(
            'how old the newest kit on record may be; `bkp status` is red beyond that, and where the kit lacks what the config has; default: it is only shown',
          ),
      })
      .prefault({})
      .describe('what `bkp kit export` takes from this environment'),
    drills: z
      .strictObject({
        every: duration
          .optional()
          .describe('how old the newest good drill of an entry may be; `bkp status` is red beyond that; default: it is only shown'),
        keep: duration
          .default('400d')
          .describe(
            'how long records of drills and kits are kept at least; the newest good one of each entry and of each backup that is left stays',
          ),
      })
      .prefault({})
      .describe('rehearsed restores of the backups of this environment'),
    prefix: prefix.default('bkp').describe('what every key in the stores begins with'),
    stores: stores(registry.stores),
    ...(registry.notifiers ? { notify: notifiers(registry.notifiers) } : {}),
    ...(Object.fromEntries(kinds) as Record<string, z.ZodType>),
  });
}

const keys = z.strictObject({
  recipients: z.array(z.string().min(1)).default([]).describe('age recipients (age1…) to which backups are encrypted'),
  unencrypted: z.boolean().default(false).describe('true = backups are not encrypted'),
  identity: z.string().min(1).optional().describe('age identity; only where restores and drills run'),
  signing: z.string().min(1).optional().describe('signing key; only where backups run'),
  trusted: z.array(z.string().min(1)).default([]).describe('verify keys (bkp-ed25519-…) whose backups are restored'),
});

/** The schema of a whole bkp.yaml over what the registry knows. */
export const configSchema = (registry: Registry) =>
  z.strictObject({
    timezone: timezone.default('UTC').describe('IANA zone of schedules, retention and times without an offset'),
    weekStart: z.enum(['sunday', 'monday']).default('sunday').describe('first day of the weeks that retention counts'),
    defaultEnv: name.optional().describe('environment without --env; default: the only one, else production'),
    temp: absolute
      .optional()
      .describe('scratch directory; default: $TMPDIR, else /tmp; what a killed bkp left in it, the next one removes'),
    keys,
    environments: z.record(name, environmentSchema(registry)),
  });

/** JSON Schema of a bkp.yaml, for editors. */
export const configJsonSchema = (registry: Registry): object =>
  z.toJSONSchema(configSchema(registry), { io: 'input', unrepresentable: 'any' });
