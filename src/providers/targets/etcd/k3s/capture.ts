import type { Facts, Id, Known, Piece, Site } from '../../../../core/contracts.ts';
import type { Context } from '../config.ts';
import { refuseForeign } from '../identity.ts';
import { bytesOf } from '../take.ts';
import { configTar } from './bundle.ts';
import { k3sProgram, k3sVersion } from './command.ts';
import { datastoreOf } from './datastore.ts';
import { listed, removeOwn, saveSnapshot, sweepOwn } from './save.ts';
import { copyState } from './sqlite.ts';
import { authority, fingerprint, readToken, refuseOpen } from './token.ts';

/** What every backup of a K3s says, whatever its datastore. */
export interface Surroundings {
  token: Buffer;
  identity: Readonly<Record<string, string>>;
  version: string;
}

/** The token, read before anything else: a backup without it is none. */
export async function surroundings(ctx: Context, site: Site, k3s: string): Promise<Surroundings> {
  refuseOpen(ctx);
  const token = await readToken(ctx, site);
  const ca = authority(token);
  return { token, identity: ca ? { serverCa: ca } : {}, version: await k3sVersion(site, k3s) };
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Token and configuration, as pieces of their own. @returns warnings */
export async function* beside(ctx: Context, site: Site, { token }: Surroundings): AsyncGenerator<Piece, string[]> {
  yield { name: 'token', bytes: once(token) };
  const { piece, warnings } = await configTar(ctx, site);
  if (piece) yield piece;
  return warnings;
}

/** The facts of a backup of K3s. */
export const factsOf = (
  { token, identity, version }: Surroundings,
  datastore: 'etcd' | 'sqlite',
  taken: { at: Date; bytes: number; facts: object; tool?: string },
): Facts => ({
  identity,
  at: taken.at,
  needs: [],
  contentBytes: taken.bytes,
  baseline: { flavor: 'k3s', datastore, ...taken.facts, bytes: taken.bytes, token: fingerprint(token) },
  versions: { server: version, ...(taken.tool ? { client: taken.tool } : {}) },
  notCovered: ['volumes of the workloads', 'flags in the systemd unit of K3s', 'container images'],
  warnings: [],
});

async function* sqlite(ctx: Context, site: Site, around: Surroundings): AsyncGenerator<Piece, Facts> {
  const taken = await copyState(ctx, site);
  yield { name: 'state.db', bytes: bytesOf(taken.file) };
  const warnings = yield* beside(ctx, site, around);
  return { ...factsOf(around, 'sqlite', taken), warnings };
}

async function* etcd(ctx: Context, site: Site, k3s: string, around: Surroundings, id: Id): AsyncGenerator<Piece, Facts> {
  await sweepOwn(ctx, site, k3s, await listed(ctx, site, k3s));
  try {
    const taken = await saveSnapshot(ctx, site, k3s, id);
    yield { name: 'snapshot.db', bytes: bytesOf(taken.file) };
    const warnings = yield* beside(ctx, site, around);
    return { ...factsOf(around, 'etcd', taken), warnings };
  } finally {
    await removeOwn(ctx, site, k3s, id);
  }
}

/** Takes a backup of a K3s: its datastore, its server token, its configuration. */
export async function* captureK3s(
  ctx: Context,
  site: Site,
  options: { id: Id; newLineage: boolean; known: readonly Known[] },
): AsyncGenerator<Piece, Facts> {
  const k3s = await k3sProgram(ctx, site);
  const around = await surroundings(ctx, site, k3s);
  if (!options.newLineage) refuseForeign(ctx, around.identity, options.known);
  if ((await datastoreOf(ctx, site)) === 'sqlite') return yield* sqlite(ctx, site, around);
  return yield* etcd(ctx, site, k3s, around, options.id);
}
