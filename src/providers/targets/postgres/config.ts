import { z } from 'zod';
import { checks } from './checks.ts';
import { walgSettings } from './walg/config.ts';

/** What every engine needs to know of a cluster. */
const cluster = {
  host: z.string().min(1).default('127.0.0.1').describe('host name, address or socket directory of the server'),
  port: z.int().min(1).max(65535).default(5432),
  user: z.string().min(1).default('bkp').describe('role with REPLICATION and LOGIN'),
  password: z.string().optional(),
  database: z.string().min(1).default('postgres').describe('database for the few SQL questions'),
  sslmode: z.enum(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']).optional(),
  sslrootcert: z.string().optional(),
  bin: z.array(z.string().min(1)).default([]).describe("directories of PostgreSQL's programs and of wal-g, looked at before PATH"),
  dataDir: z
    .string()
    .min(1)
    .optional()
    .describe(
      'where `bkp restore postgres` without --to puts the data directory; wal-g reads the files there when the server runs on them',
    ),
  owner: z.string().min(1).optional().describe('user that owns a restored data directory when bkp runs as root'),
  wal: z
    .strictObject({ stores: z.array(z.string()).min(1).optional().describe('stores of the WAL; default: every store of the target') })
    .prefault({}),
  checks,
};

const native = z.strictObject({
  engine: z.literal('native').describe("PostgreSQL's own tools (pg_basebackup, pg_receivewal) down bkp's line"),
  ...cluster,
  spool: z.string().min(1).optional().describe('directory in which `bkp stream postgres` receives WAL before it is stored'),
});

const walg = z.strictObject({
  engine: z.literal('wal-g').describe('WAL-G, which stores the backups in its own layout'),
  ...cluster,
  walg: walgSettings.prefault({}),
});

/** One named PostgreSQL cluster; `engine` says which tools do the work. */
export const postgresConfig = z.discriminatedUnion('engine', [native, walg]);

/** A cluster under either engine: `walg` is there under `wal-g`, `spool` under `native` at most. */
export type PostgresConfig = Omit<z.infer<typeof native>, 'engine'> & {
  engine: 'native' | 'wal-g';
  walg?: z.infer<typeof walgSettings> | undefined;
};
