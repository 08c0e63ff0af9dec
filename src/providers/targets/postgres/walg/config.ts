import * as z from 'zod';
import { duration, prefix } from '../../../../core/config/fields.ts';

const text = z.string().min(1);

/** Names that bkp sets by itself, or that would make a backup something else than what is recorded of it. */
const OURS =
  /^(WALG_.*PREFIX|WALG_COMPRESSION_METHOD|WALG_DELTA_MAX_STEPS|WALG_PREVENT_WAL_OVERWRITE|WALG_PG_WAL_SIZE|WALG_SLOTNAME|WALG_FAILOVER_STORAGES.*|WALG_WITHOUT_FILES_METADATA|WALG_PGP_KEY.*|WALG_GPG_KEY_ID|WALG_LIBSODIUM_KEY|WALG_LIBSODIUM_KEY_PATH|WALG_CSE_.*|WALG_YC_.*|WALG_ENVELOPE_.*)$/;

const isFree = (name: string): boolean => /^(WALG|S3)_[A-Z0-9_]+$/.test(name) && !OURS.test(name);

const REFUSED =
  'cannot be set here; allowed are names that begin with WALG_ or S3_, without prefixes, keys, compression, deltas: bkp sets those';

/** Faults stand at the name, and never show the value of what looks like a key. */
const settings = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)).superRefine((given, ctx) => {
  for (const name of Object.keys(given)) if (!isFree(name)) ctx.addIssue({ code: 'custom', path: [name], message: REFUSED });
});

/** WAL-G can be built without brotli, and then fails at the first file: it was so in the builds that were tried. */
const compression = z.enum(['lz4', 'lzma', 'zstd'], {
  error: issue =>
    issue.input === 'brotli'
      ? '"brotli" is refused: builds of WAL-G without cgo do not have it, and then nothing can be restored; allowed: lz4, lzma, zstd'
      : undefined,
});

/** What the engine `wal-g` is told beside the cluster. */
export const walgSettings = z.strictObject({
  program: text.optional().describe('path of the program; default: wal-g in one of `bin`, else on PATH'),
  compression: compression.default('lz4').describe('how WAL-G compresses; what is stored already stays readable'),
  deltaMaxSteps: z
    .int()
    .min(0)
    .max(1000)
    .default(0)
    .describe('deltas between two full backups; only where WAL-G reads the files of the data directory (`dataDir`)'),
  uploadConcurrency: z.int().min(1).max(256).optional().describe('parts that WAL-G uploads at once; default: its own'),
  idleTimeout: duration
    .default('5m')
    .describe('WAL-G is ended when it neither says nor does anything for this long; waiting for the archive counts'),
  prefix: prefix
    .optional()
    .describe(
      'key prefix of an existing archive of WAL-G, which is gone on with as it is; default: <prefix>/<env>/postgres/<name>/walg/<lineage>',
    ),
  pgpKey: text.optional().describe('PGP key, armored text; the private one where restores run'),
  pgpKeyPath: text.optional().describe('file of the PGP key, in place of `pgpKey`'),
  pgpPassphrase: text.optional().describe('passphrase of the PGP key'),
  libsodiumKey: text.optional().describe('libsodium key, in place of PGP'),
  settings: settings
    .default({})
    .describe('other settings of WAL-G by their own names, WALG_… and S3_…; no secrets: those have fields of their own'),
});

export type WalgSettings = z.infer<typeof walgSettings>;
