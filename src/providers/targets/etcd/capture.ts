import type { Facts, Id, Known, Piece, Site } from '../../../core/contracts.ts';
import { parseDuration } from '../../../core/duration.ts';
import { openSite } from '../../../flow/site/index.ts';
import { ask } from './client.ts';
import type { Context } from './config.ts';
import { exclusive } from './exclusive.ts';
import { isK3s } from './flavor.ts';
import { refuseForeign } from './identity.ts';
import { captureK3s } from './k3s/capture.ts';
import { type EndpointStatus, FULL, usable } from './status.ts';
import { provenBytes, takeSnapshot } from './take.ts';
import { etcdctl } from './tools.ts';

interface Options {
  id: Id;
  newLineage: boolean;
  known: readonly Known[];
}

/** The uid of the namespace `kube-system` out of its stored form, where this is the etcd of a Kubernetes and nothing is encrypted there. */
async function kubeSystem(ctx: Context, site: Site, tool: string, { endpoint }: EndpointStatus): Promise<string | undefined> {
  const ms = parseDuration(ctx.config.connectTimeout);
  const text = await ask(ctx, site, tool, endpoint, ['get', '/registry/namespaces/kube-system', '--print-value-only'], ms);
  return /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(text)?.[0];
}

async function* captureEtcd(ctx: Context, site: Site, options: Options): AsyncGenerator<Piece, Facts> {
  const tool = await etcdctl(ctx, site);
  const endpoints = await usable(ctx, site, tool);
  const uid = await kubeSystem(ctx, site, tool, endpoints[0]);
  const identity = { ...(uid ? { kubeSystem: uid } : {}), clusterId: endpoints[0].clusterId };
  if (!options.newLineage) refuseForeign(ctx, identity, options.known);
  const { file, proof, from, at } = await takeSnapshot(ctx, site, tool, endpoints);
  try {
    yield { name: 'snapshot.db', bytes: provenBytes(file, proof) };
    const { bytes, facts, tool: client } = await proof;
    return {
      identity,
      at,
      needs: [],
      contentBytes: bytes,
      baseline: { flavor: 'etcd', datastore: 'etcd', ...facts, bytes, ...fullness(from.errors) },
      versions: { server: from.version, client },
      notCovered: ['certificates and flags of the members', ...(uid ? ['files of the Kubernetes nodes, volumes'] : [])],
      warnings: from.errors.map(text => `${from.endpoint} complains: ${text}`),
    };
  } finally {
    // Its directory goes next.
    await proof.catch(() => {});
  }
}

const fullness = (errors: readonly string[]): { full?: true } => (errors.some(text => text.includes(FULL)) ? { full: true } : {});

/**
 * Takes a snapshot and proves that it restores while it goes down the line, whose end comes after the proof.
 * @throws BkpError('refused') before the first byte for another cluster, a full disk, or a token that would lie open; 'conflict' while another
 *   run is under way; 'failed' | 'verifyFailed' for a snapshot that cannot be had or does not restore
 */
export async function* capture(ctx: Context, options: Options): AsyncGenerator<Piece, Facts> {
  const free = await exclusive(ctx);
  try {
    const site = await openSite(ctx, ctx.config.where);
    try {
      return yield* (await isK3s(ctx, site)) ? captureK3s(ctx, site, options) : captureEtcd(ctx, site, options);
    } finally {
      await site.close();
    }
  } finally {
    await free();
  }
}
