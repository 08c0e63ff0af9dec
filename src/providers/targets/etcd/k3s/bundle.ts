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

/** Each link, those in directories that are links themselves too, as `lost PATH` or `dir PATH`; one to a file is none of them. */
const TELL =
  'for l do [ -L "$l" ] || continue; if [ ! -e "$l" ]; then echo "lost $l"; elif [ -d "$l" ]; then echo "dir $l"; fi; done; true';
const LINKS = `tell() { ${TELL}; }; tell "$@"; find -L "$@" -type d 2>/dev/null | while IFS= read -r d; do tell "$d"/* "$d"/.*; done`;

/** find -L goes into no directory that it is in already; GNU tar 1.34 goes round until it crashes. */
const DIRECTORIES = 'find -L "$@" -type d 2>/dev/null; true';

/** Links that lead nowhere, to themselves, or back to a directory in which they are, also by way of other links. */
async function astrayAmong(site: Site, paths: readonly string[]): Promise<string[]> {
  const entered = new Set(await listed(site, DIRECTORIES, paths));
  const links = (await listed(site, LINKS, paths)).map(line => /^(lost|dir) (.*)$/.exec(line)!.slice(1) as [string, string]);
  return links.flatMap(([what, path]) => (what === 'dir' && entered.has(path) ? [] : [path])).sort();
}

/** A path as a pattern of tar that means it alone. */
const pattern = (path: string): string => path.slice(1).replace(/[\\*?[\]]/g, '\\$&');

/**
 * The configuration of a server as one tar with paths from the root on, links followed. tar ends in a failure at a link that leads nowhere or in a
 * circle, and K3s passes it over: it is left out.
 * @returns no piece where there is nothing of it; a warning for links that are left out
 */
export async function configTar(ctx: Context, site: Site): Promise<{ piece?: Piece; warnings: string[] }> {
  const paths = await listed(site, 'for f do [ -e "$f" ] && echo "$f"; done; true', wanted(ctx));
  const astray = await astrayAmong(site, wanted(ctx));
  const warnings =
    astray.length > 0 ? [`${called(ctx)}: ${astray.join(', ')}: symbolic links that lead nowhere or in a circle, and are not in it`] : [];
  if (paths.length === 0) return { warnings };
  const file = join(await site.dir(), 'config.tar');
  const without = astray.map(path => `--exclude=${pattern(path)}`);
  await site.text({ file: 'tar', args: ['-c', '-h', ...without, '-f', file, '-C', '/', ...paths.map(path => path.slice(1))] });
  return { piece: { name: 'config.tar', bytes: site.read(file) }, warnings };
}
