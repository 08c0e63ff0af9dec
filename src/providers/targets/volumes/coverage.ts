import type { Holding, Manifest } from '../../../core/contracts.ts';
import { formatBytes } from '../../../core/size.ts';
import { bytesOf, type Context, hetznerOf } from './context.ts';
import { chosenServers } from './servers.ts';

/** Ids of the servers of which a backup has a snapshot. */
const serversIn = (manifest: Manifest | undefined): Set<string> =>
  new Set(
    (manifest?.pieces ?? []).flatMap(piece =>
      'held' in piece && piece.held.by === 'hetzner' && piece.held.detail?.['server'] ? [piece.held.detail['server']] : [],
    ),
  );

/** Every server and volume of the project: a server by its snapshot, a volume by none, since snapshots do not hold volumes. */
export async function* coverage(ctx: Context, newest: Manifest | undefined): AsyncIterable<Holding> {
  const hetzner = hetznerOf(ctx);
  const chosen = new Set((await chosenServers(ctx, hetzner)).map(({ id }) => id));
  const held = serversIn(newest);
  const servers = await hetzner.servers();
  for (const { id, name } of servers) {
    const base = { kind: 'server', id: String(id), name };
    if (newest && held.has(base.id))
      yield { ...base, coveredBy: { target: `volumes/${ctx.name}`, backup: newest.id, at: newest.recoveryPointAt } };
    else yield { ...base, why: chosen.has(id) ? `volumes/${ctx.name} has no backup of it yet` : `volumes/${ctx.name} does not choose it` };
  }
  const names = new Map(servers.map(({ id, name }) => [id, name]));
  for (const { id, name, size, server } of await hetzner.volumes())
    yield {
      kind: 'volume',
      id: String(id),
      name,
      detail: `${formatBytes(bytesOf(size))}, ${server === undefined ? 'attached to no server' : `attached to ${names.get(server) ?? server}`}`,
      why: 'a volume is in no snapshot of a server',
    };
}
