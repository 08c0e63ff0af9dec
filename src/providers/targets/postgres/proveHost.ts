import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest, ProofRequest, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { formatBytes } from '../../../core/size.ts';
import { assertOpens } from '../../../flow/age.ts';
import { freeBytes, own, refuseClosed } from '../../../flow/place.ts';
import { combinedBytes, combinedSpaceBytes } from './combine.ts';
import type { PostgresConfig } from './config.ts';
import { ownerOf } from './place.ts';
import type { Private } from './private.ts';
import type { Mapped } from './tablespaces.ts';
import { serverTools, type Tools } from './tools.ts';

type Context = TargetContext<PostgresConfig>;

/** Segments that recovery, the promotion and the checks write beyond what the base holds. */
const NEW_SEGMENTS = 4;

const spacesOf = (parents: readonly Manifest[], manifest: Manifest): number =>
  (manifest.tablespaces ?? []).reduce((sum, space) => sum + combinedSpaceBytes(parents, manifest, space), 0);

/** Where the tablespaces of a proof go: beside its data directory. */
export const proofSpaces = ({ manifest, dir }: ProofRequest): Mapped[] =>
  (manifest.tablespaces ?? []).map(space => ({ ...space, to: join(dir, `t${space.oid}`), aside: false }));

/** Bytes that a proof of a backup takes on the disk: what it unpacks to, with all that it builds on, a twentieth of it, and some WAL. */
export const proofBytes = (manifest: Manifest, parents: readonly Manifest[] = []): number =>
  Math.ceil((combinedBytes(parents, manifest) + spacesOf(parents, manifest)) * 1.05) + NEW_SEGMENTS * (manifest.wal?.segmentBytes ?? 0);

async function refuseFull({ manifest, parents, dir }: ProofRequest): Promise<void> {
  const needed = proofBytes(manifest, parents);
  const free = await freeBytes(dir);
  if (free >= needed) return;
  throw new BkpError('refused', `a restored copy needs about ${formatBytes(needed)}, and ${dir} has ${formatBytes(free)} free`, {
    next: '`temp:` in the config names a directory with more room',
  });
}

/** An older pg_amcheck does not know a newer server; the others come with the server. */
async function refuseOldClient(ctx: Context, tools: Tools): Promise<void> {
  for (const program of ['pg_verifybackup', 'pg_waldump', 'pg_checksums']) tools.path(program);
  const { stdout } = await ctx.run.text({ file: tools.path('pg_amcheck'), args: ['--version'] });
  const major = Number(/\) (\d+)/.exec(stdout)?.[1] ?? 0);
  if (major < tools.major)
    throw new BkpError('failed', `pg_amcheck is of PostgreSQL ${major}, and the backup of ${tools.major}`, {
      next: `install postgresql-client-${tools.major}`,
    });
}

function refuseForeign({ id, wal, lineage }: Manifest): void {
  if (!wal || !lineage)
    throw new BkpError('verifyFailed', `the manifest of backup ${id} names no WAL, without which it cannot be restored`);
}

/**
 * Makes the place of a proof, once it is certain that this host can do it: key, programs, room, and somebody who may own it.
 * @returns data directory and private directory, empty, both in `dir`
 * @throws BkpError('verifyFailed') when the backup cannot come back anywhere; any other exit: not on this host, and `next` says what to do
 */
export async function proofPlace(ctx: Context, request: ProofRequest): Promise<Private> {
  const { manifest, dir } = request;
  refuseForeign(manifest);
  if (manifest.line.includes('age')) await assertOpens(ctx.keys.identity(), manifest.recipients);
  const tools = await serverTools(ctx, Number.parseInt(manifest.versions['server'] ?? '', 10));
  await refuseOldClient(ctx, tools);
  await refuseFull(request);
  const dataDir = join(dir, 'data');
  const owner = await ownerOf(ctx, { want: {}, to: dataDir, force: false, serve: false, dryRun: false, confirm: async () => {} });
  await own(dir, owner);
  await refuseClosed(dataDir, owner);
  const place: Private = {
    dataDir,
    dir: join(dir, 's'),
    tools,
    owner,
    superuser: manifest.versions['superuser'] ?? 'postgres',
  };
  for (const path of [place.dataDir, place.dir]) {
    await mkdir(path, { mode: 0o700 });
    await own(path, owner);
  }
  return place;
}
