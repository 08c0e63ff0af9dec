import { BkpError } from '../../../core/errors.ts';
import type { Hetzner, Server } from '../../hetzner/index.ts';
import type { Context } from './context.ts';

const named = ({ id, name }: Server): string => `${name} (${id})`;

/** Volumes that hang on a server, in words; their data is in no snapshot. */
export const attachedOf = (server: Server): string[] =>
  server.volumes.map(volume => `volume ${volume}, attached to ${named(server)}: its data is in no snapshot of the server`);

/**
 * The servers of the entry. None is a failure: a selector that matches nothing is a mistake, and an empty backup looks like a good one.
 * @throws BkpError('failed' | 'notFound')
 */
export async function chosenServers({ config, name }: Context, hetzner: Hetzner): Promise<Server[]> {
  const servers = config.servers
    ? await Promise.all(config.servers.map(id => hetzner.server(id)))
    : await hetzner.servers(config.selector ?? '');
  if (servers.length > 0) return servers;
  const all = await hetzner.servers();
  throw new BkpError('failed', `volumes/${name}: no server has the labels ${config.selector}`, {
    next:
      all.length > 0
        ? `skipped, since their labels differ: ${all.map(named).join(', ')}`
        : 'the project of this token has no server at all',
  });
}

/** @throws BkpError('refused') for servers with attached volumes, unless the config leaves those out */
export function refuseAttached({ config, name }: Context, servers: readonly Server[]): void {
  const attached = servers.flatMap(attachedOf);
  if (attached.length === 0 || config.attached === 'leave') return;
  throw new BkpError('refused', `volumes/${name}: ${attached.join('; ')}`, {
    next: 'back their files up another way, and set `attached: leave`: the manifest then lists them as not covered',
  });
}
