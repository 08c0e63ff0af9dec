import type { Access } from '../../../../core/contracts.ts';
import { BkpError } from '../../../../core/errors.ts';
import type { PostgresConfig } from '../config.ts';
import type { WalgSettings } from './config.ts';

/** WAL-G's settings as environment variables. `secret` are never printed, logged or put into an argument. */
export interface WalgEnvironment {
  plain: Record<string, string>;
  secret: Record<string, string>;
}

export interface EnvironmentInput {
  /** For sentences: `postgres/app`. */
  who: string;
  walg: WalgSettings;
  /** The server, for what talks to one; a restore needs no password of a server that is gone. */
  server?: Pick<PostgresConfig, 'host' | 'port' | 'user' | 'database' | 'password' | 'sslmode' | 'sslrootcert' | 'sslcert' | 'sslkey'>;
  /** Where the archive lies; `prefix` is its key prefix there, without slashes at its ends. */
  access: Access;
  prefix: string;
  /** The config says that nothing is to be encrypted. */
  unencrypted: boolean;
  /** Bytes of a WAL segment; 16 MiB unless given. */
  segmentBytes?: number;
  /** File that holds `access.ca`. */
  caFile?: string;
  /** Another store has the same: what this one does not give is not asked of it for an hour. */
  elsewhere?: boolean;
}

const MIB = 1024 * 1024;

type Variables = Record<string, string | undefined>;

const set = (variables: Variables): Record<string, string> =>
  Object.fromEntries(Object.entries(variables).filter((pair): pair is [string, string] => pair[1] !== undefined));

function place({ access, prefix, caFile }: EnvironmentInput): WalgEnvironment {
  if (access.kind === 'directory') return { plain: { WALG_FILE_PREFIX: `${access.path}/${prefix}` }, secret: {} };
  const plain = set({
    WALG_S3_PREFIX: `s3://${access.bucket}/${prefix}`,
    AWS_ENDPOINT: access.endpoint,
    AWS_REGION: access.region,
    AWS_S3_FORCE_PATH_STYLE: String(access.pathStyle),
    // The default is 15, which takes minutes when the service is down.
    S3_MAX_RETRIES: '3',
    WALG_S3_CA_CERT_FILE: access.ca === undefined ? undefined : caFile,
  });
  const secret = set({
    AWS_ACCESS_KEY_ID: access.accessKey,
    AWS_SECRET_ACCESS_KEY: access.secretKey,
    HTTP_PROXY: access.proxy,
    HTTPS_PROXY: access.proxy,
  });
  return { plain, secret };
}

/** pgx reads the same variables as libpq; files of the person who runs bkp say nothing here. */
function connection({ server }: EnvironmentInput): WalgEnvironment {
  if (!server) return { plain: {}, secret: {} };
  const plain = set({
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGUSER: server.user,
    PGDATABASE: server.database,
    PGSSLMODE: server.sslmode,
    PGSSLROOTCERT: server.sslrootcert,
    PGSSLCERT: server.sslcert,
    PGSSLKEY: server.sslkey,
    PGPASSFILE: '/dev/null',
    PGSERVICEFILE: '/dev/null',
  });
  return { plain, secret: set({ PGPASSWORD: server.password }) };
}

/** Which of its ways WAL-G encrypts by. Throws BkpError('usage') when it has no key, or two, and nobody said that nothing is encrypted. */
export function encryptionOf({
  who,
  walg,
  unencrypted,
}: Pick<EnvironmentInput, 'who' | 'walg' | 'unencrypted'>): 'pgp' | 'libsodium' | 'none' {
  const { pgpKey, pgpKeyPath, libsodiumKey } = walg;
  const given = [pgpKey, pgpKeyPath, libsodiumKey].filter(key => key !== undefined);
  if (given.length > 1)
    throw new BkpError('usage', `${who}: walg has ${given.length} keys; allowed is one of pgpKey, pgpKeyPath and libsodiumKey`);
  if (given.length === 1) return libsodiumKey === undefined ? 'pgp' : 'libsodium';
  if (unencrypted) return 'none';
  throw new BkpError(
    'usage',
    `${who}: engine wal-g has no key, so its backups would lie unencrypted: WAL-G knows nothing of the age keys under \`keys\``,
    {
      next: [
        'to encrypt: `walg: { pgpKeyPath: FILE }`, or pgpKey, or libsodiumKey in the entry (docs/how-to/wal-g.md makes one)',
        'to leave everything unencrypted: `keys: { unencrypted: true }` without recipients',
      ],
    },
  );
}

const keys = ({ walg }: EnvironmentInput): WalgEnvironment => ({
  plain: set({ WALG_PGP_KEY_PATH: walg.pgpKeyPath }),
  secret: set({ WALG_PGP_KEY: walg.pgpKey, WALG_PGP_KEY_PASSPHRASE: walg.pgpPassphrase, WALG_LIBSODIUM_KEY: walg.libsodiumKey }),
});

const work = ({ walg, segmentBytes = 16 * MIB }: EnvironmentInput): Record<string, string> =>
  set({
    WALG_COMPRESSION_METHOD: walg.compression,
    WALG_DELTA_MAX_STEPS: String(walg.deltaMaxSteps),
    WALG_UPLOAD_CONCURRENCY: walg.uploadConcurrency === undefined ? undefined : String(walg.uploadConcurrency),
    WALG_PREVENT_WAL_OVERWRITE: 'true',
    WALG_PG_WAL_SIZE: segmentBytes === 16 * MIB ? undefined : String(segmentBytes / MIB),
  });

/** The default is 15: a damaged part is tried again for an hour, with up to five minutes between. The minutes in which it halves its width stay. */
const patience = ({ elsewhere = false }: EnvironmentInput): Record<string, string> =>
  elsewhere ? { WALG_DOWNLOAD_FILE_RETRIES: '0' } : {};

/**
 * What WAL-G is told: where the archive lies, which server, how to compress and encrypt. `walg.settings` go over the defaults and under what
 * bkp relies on. Pure.
 * @throws BkpError('usage') when nothing would be encrypted and nobody said so
 */
export function walgEnvironment(input: EnvironmentInput): WalgEnvironment {
  encryptionOf(input);
  const [where, server, own] = [place(input), connection(input), keys(input)];
  return {
    plain: { ...where.plain, ...patience(input), ...input.walg.settings, ...server.plain, ...own.plain, ...work(input) },
    secret: { ...where.secret, ...server.secret, ...own.secret },
  };
}
