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
import { bytesOf, takeSnapshot } from './take.ts';
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
  const taken = await takeSnapshot(ctx, site, tool, endpoints);
  yield { name: 'snapshot.db', bytes: bytesOf(taken.file) };
  return {
    identity,
    at: taken.at,
    needs: [],
    contentBytes: taken.bytes,
    baseline: { flavor: 'etcd', datastore: 'etcd', ...taken.facts, bytes: taken.bytes, ...fullness(taken.from.errors) },
    versions: { server: taken.from.version, client: taken.tool },
    notCovered: ['certificates and flags of the members', ...(uid ? ['files of the Kubernetes nodes, volumes'] : [])],
    warnings: taken.from.errors.map(text => `${taken.from.endpoint} complains: ${text}`),
  };
}

const fullness = (errors: readonly string[]): { full?: true } => (errors.some(text => text.includes(FULL)) ? { full: true } : {});

/**
 * Takes a snapshot, proves that it restores, and only then hands it to the line.
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
