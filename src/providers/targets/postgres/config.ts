import * as z from 'zod';
import { absolute } from '../../../core/config/fields.ts';
import { DURATION, parseDuration } from '../../../core/duration.ts';
import { checks } from './checks.ts';
import { checkIncrements, incrementFields } from './incrementConfig.ts';
import { walgSettings } from './walg/config.ts';

const LEAST_FLUSH_MS = 250;
const LEAST_HEARTBEAT_MS = 1000;

/** A duration of at least `ms`, or `off`. */
const every = (ms: number) =>
  z
    .string()
    .regex(new RegExp(`^off$|${DURATION.source}`), {
      error: 'no duration; allowed are a whole number with a unit, e.g. 1s, or off',
      abort: true,
    })
    .refine(text => text === 'off' || parseDuration(text) >= ms, { error: `too short; allowed are ${ms}ms and more, or off` });

/** How the native engine ships and fetches WAL. */
const nativeWal = {
  flush: every(LEAST_FLUSH_MS)
    .default('1s')
    .describe('how often `bkp stream postgres` stores the new bytes of the open segment, from 250ms on; off = whole segments only'),
  synchronous: z
    .boolean()
    .default(false)
    .describe("commits are to wait for the receiver's disk: the server is checked for `synchronous_standby_names = 'bkp'`"),
  heartbeat: every(LEAST_HEARTBEAT_MS)
    .default('30s')
    .describe('how often `bkp stream postgres` commits an empty transaction, so that an idle database stays reachable; off = never'),
  prefetch: z.int().min(0).max(64).default(8).describe('segments that a restore and `bkp wal fetch` read ahead; 0 = none'),
};

/** What every engine needs to know of a cluster. */
const cluster = {
  host: z
    .string()
    .min(1)
    .refine(host => !host.includes(','), { error: 'names several servers; allowed is one, the primary' })
    .default('127.0.0.1')
    .describe('host name, address or socket directory of the server'),
  port: z.int().min(1).max(65535).default(5432),
  user: z.string().min(1).default('bkp').describe('role with REPLICATION and LOGIN'),
  password: z.string().optional(),
  database: z.string().min(1).default('postgres').describe('database for the few SQL questions'),
  sslmode: z.enum(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']).optional(),
  sslrootcert: z.string().optional(),
  sslcert: z.string().min(1).optional().describe('PEM file of a client certificate, for a server that asks for one'),
  sslkey: z.string().min(1).optional().describe('PEM file of its key, which nobody else may read'),
  bin: z.array(z.string().min(1)).default([]).describe("directories of PostgreSQL's programs and of wal-g, looked at before PATH"),
  dataDir: absolute
    .optional()
    .describe(
      'where `bkp restore postgres` without --to puts the data directory; wal-g reads the files there when the server runs on them',
    ),
  owner: z.string().min(1).optional().describe('user that owns a restored data directory when bkp runs as root'),
  checks,
};

const stores = z.array(z.string()).min(1).optional().describe('stores of the WAL; default: every store of the target');

const native = z
  .strictObject({
    engine: z.literal('native').describe("PostgreSQL's own tools (pg_basebackup, pg_receivewal) down bkp's line"),
    ...cluster,
    wal: z.strictObject({ stores, ...nativeWal }).prefault({}),
    spool: absolute.optional().describe('directory in which `bkp stream postgres` receives WAL before it is stored'),
    ...incrementFields,
  })
  .superRefine(checkIncrements);

const walg = z.strictObject({
  engine: z.literal('wal-g').describe('WAL-G, which stores the backups in its own layout'),
  ...cluster,
  wal: z.strictObject({ stores }).prefault({}),
  walg: walgSettings.prefault({}),
});

/** One named PostgreSQL cluster; `engine` says which tools do the work. */
export const postgresConfig = z.discriminatedUnion('engine', [native, walg]);

type NativeWal = z.infer<typeof native>['wal'];

/** A cluster under either engine: `walg` is there under `wal-g`, `spool` under `native` at most. */
export type PostgresConfig = Omit<z.infer<typeof native>, 'engine' | 'wal'> & {
  engine: 'native' | 'wal-g';
  wal: Pick<NativeWal, 'stores'> & Partial<NativeWal>;
  walg?: z.infer<typeof walgSettings> | undefined;
};
