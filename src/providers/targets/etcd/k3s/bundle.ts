import { join } from 'node:path';
import type { Piece, Site } from '../../../../core/contracts.ts';
import type { Context } from '../config.ts';

/** What a node needs beside its datastore: configuration, manifests that K3s applies by itself, and the keys of the cluster. */
const wanted = ({ config: { k3s } }: Context): string[] => [
  `${k3s.configDir}/config.yaml`,
  `${k3s.configDir}/config.yaml.d`,
  `${k3s.configDir}/registries.yaml`,
  `${k3s.dataDir}/server/manifests`,
  `${k3s.dataDir}/server/tls`,
  `${k3s.dataDir}/server/cred`,
];

/**
 * The configuration of a server as one tar with paths from the root on, links followed.
 * @returns undefined where there is nothing of it
 */
export async function configTar(ctx: Context, site: Site): Promise<Piece | undefined> {
  const script = 'for f do [ -e "$f" ] && echo "$f"; done; true';
  const { stdout } = await site.text({ file: 'sh', args: ['-c', script, 'sh', ...wanted(ctx)] });
  const paths = stdout.split('\n').filter(Boolean);
  if (paths.length === 0) return undefined;
  const file = join(await site.dir(), 'config.tar');
  await site.text({ file: 'tar', args: ['-c', '-h', '-f', file, '-C', '/', ...paths.map(path => path.slice(1))] });
  return { name: 'config.tar', bytes: site.read(file) };
}
