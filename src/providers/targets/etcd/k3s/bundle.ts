import { join } from 'node:path';
import type { Piece, Site } from '../../../../core/contracts.ts';
import { type Context, called } from '../config.ts';

/** What a node needs beside its datastore: configuration, manifests that K3s applies by itself, and the keys of the cluster. */
const wanted = ({ config: { k3s } }: Context): string[] => [
  `${k3s.configDir}/config.yaml`,
  `${k3s.configDir}/config.yaml.d`,
  `${k3s.configDir}/registries.yaml`,
  `${k3s.dataDir}/server/manifests`,
  `${k3s.dataDir}/server/tls`,
  `${k3s.dataDir}/server/cred`,
];

/** Paths that a script of the shell prints for others, a line each. */
async function listed(site: Site, script: string, paths: readonly string[]): Promise<string[]> {
  const { stdout } = await site.text({ file: 'sh', args: ['-c', script, 'sh', ...paths] });
  return stdout.split('\n').filter(Boolean);
}

/** `find` without -L sees links that lead to themselves, and with it those in directories that are links themselves. */
const ASTRAY = '{ find "$@" -type l ! -exec test -e {} \\; -print; find -L "$@" -type l -print; } 2>/dev/null | sort -u';

/** A path as a pattern of tar that means it alone. */
const pattern = (path: string): string => path.slice(1).replace(/[\\*?[\]]/g, '\\$&');

/**
 * The configuration of a server as one tar with paths from the root on, links followed. tar ends in a failure at a link that leads nowhere, and
 * K3s passes it over: it is left out.
 * @returns no piece where there is nothing of it; a warning for links that are left out
 */
export async function configTar(ctx: Context, site: Site): Promise<{ piece?: Piece; warnings: string[] }> {
  const paths = await listed(site, 'for f do [ -e "$f" ] && echo "$f"; done; true', wanted(ctx));
  const astray = await listed(site, ASTRAY, wanted(ctx));
  const warnings = astray.length > 0 ? [`${called(ctx)}: ${astray.join(', ')}: symbolic links that lead nowhere, and are not in it`] : [];
  if (paths.length === 0) return { warnings };
  const file = join(await site.dir(), 'config.tar');
  const without = astray.map(path => `--exclude=${pattern(path)}`);
  await site.text({ file: 'tar', args: ['-c', '-h', ...without, '-f', file, '-C', '/', ...paths.map(path => path.slice(1))] });
  return { piece: { name: 'config.tar', bytes: site.read(file) }, warnings };
}
