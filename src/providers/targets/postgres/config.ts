import { z } from 'zod';

/** One named PostgreSQL cluster, engine `native`: PostgreSQL's own tools down our line. */
export const postgresConfig = z.strictObject({
  engine: z.enum(['native']).describe("which tools do the work: `native` = PostgreSQL's own (pg_basebackup, pg_receivewal)"),
  host: z.string().min(1).default('127.0.0.1').describe('host name, address or socket directory of the server'),
  port: z.int().min(1).max(65535).default(5432),
  user: z.string().min(1).default('bkp').describe('role with REPLICATION and LOGIN'),
  password: z.string().optional(),
  database: z.string().min(1).default('postgres').describe('database for the few SQL questions'),
  sslmode: z.enum(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']).optional(),
  sslrootcert: z.string().optional(),
  bin: z.array(z.string().min(1)).default([]).describe("directories of PostgreSQL's programs, looked at before PATH"),
  spool: z.string().min(1).optional().describe('directory in which `bkp stream postgres` receives WAL before it is stored'),
  dataDir: z.string().min(1).optional().describe('where `bkp restore postgres` without --to puts the data directory'),
  owner: z.string().min(1).optional().describe('user that owns a restored data directory when bkp runs as root'),
  wal: z
    .strictObject({ stores: z.array(z.string()).min(1).optional().describe('stores of the WAL; default: every store of the target') })
    .prefault({}),
});

export type PostgresConfig = z.infer<typeof postgresConfig>;
