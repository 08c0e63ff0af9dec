import { join } from 'node:path';
import type { Manifest, TargetContext } from '../../../core/contracts.ts';
import { exists } from '../../../flow/place.ts';
import type { PostgresConfig } from './config.ts';
import { readBaseline } from './proveBaseline.ts';
import type { Tools } from './tools.ts';

/** Where the files of one installation lie; undefined where its pg_config is not here to tell. */
async function placesOf(ctx: TargetContext<PostgresConfig>, tools: Tools): Promise<{ share: string; libraries: string } | undefined> {
  const file = await Promise.resolve()
    .then(() => tools.path('pg_config'))
    .catch(() => undefined);
  if (file === undefined) return undefined;
  const { stdout } = await ctx.run.text({ file, args: ['--version', '--sharedir', '--pkglibdir'] }, { signal: ctx.signal });
  const [version, share, libraries] = stdout.trim().split('\n');
  // One on PATH may be of another version.
  if (Number(/(\d+)/.exec(version ?? '')?.[1]) !== tools.major || !share || !libraries) return undefined;
  return { share, libraries };
}

/** A list as shared_preload_libraries has it: names, maybe quoted, maybe with `$libdir/` or a path. Pure. */
export const namesIn = (setting: string): string[] =>
  setting
    .split(',')
    .map(name => name.trim().replace(/^"(.*)"$/, '$1'))
    .filter(name => name !== '');

const libraryAt = (name: string, libraries: string): string => {
  const path = name.startsWith('/') ? name : join(libraries, name.replace(/^\$libdir\//, ''));
  return path.endsWith('.so') ? path : `${path}.so`;
};

/**
 * What the source had, as its backup recorded it, and this installation has no files of: a server starts without an extension and fails
 * at its first use, and does not start at all without a library that it is to load.
 * @returns a sentence for each; empty too where nothing was recorded, or no pg_config tells where the files lie
 */
export async function lacksFiles(ctx: TargetContext<PostgresConfig>, tools: Tools, manifest: Manifest): Promise<string[]> {
  const recorded = readBaseline(manifest.baseline);
  const places = recorded && (await placesOf(ctx, tools));
  if (!places) return [];
  const lacks: string[] = [];
  const extensions = Object.values(recorded.databases).flatMap(({ contents }) => Object.keys(contents?.extensions ?? {}));
  for (const name of [...new Set(extensions)].sort())
    if (!(await exists(join(places.share, 'extension', `${name}.control`))))
      lacks.push(`extension ${name} (no ${name}.control in ${join(places.share, 'extension')})`);
  for (const name of namesIn(recorded.preload ?? '')) {
    const file = libraryAt(name, places.libraries);
    if (!(await exists(file))) lacks.push(`library ${name} of shared_preload_libraries (no ${file})`);
  }
  return lacks;
}
