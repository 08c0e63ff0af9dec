import { basename, join } from 'node:path';
import type { Manifest, TargetContext } from '../../../core/contracts.ts';
import { exists } from '../../../flow/place.ts';
import type { PostgresConfig } from './config.ts';
import { type Baseline, readBaseline } from './proveBaseline.ts';
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

/** Whether a file lies in one of some directories. */
async function isIn(dirs: readonly string[], file: string): Promise<boolean> {
  for (const dir of dirs) if (await exists(join(dir, file))) return true;
  return false;
}

/** Directories of a path setting such as extension_control_path and dynamic_library_path, with what the placeholder stands for. Pure. */
export const dirsIn = (setting: string | undefined, placeholder: string, standard: string, within = ''): string[] =>
  (setting ?? placeholder)
    .split(':')
    .filter(dir => dir !== '')
    .map(dir => (dir === placeholder ? standard : join(dir.replace(placeholder, standard), within)));

/** Since then extensions may lie elsewhere too. */
const HAS_PATH = 18;
const ELSEWHERE = '; extension_control_path of the source is not known: the role of its backups may not read it';

/** What a role without rights does not see of a source. */
function unknownOf({ databases, preload }: Baseline): string[] {
  const closed = Object.keys(databases).filter(name => databases[name]!.unseen && !databases[name]!.invalid);
  return [
    ...(preload === undefined
      ? ['shared_preload_libraries of the source is not known: the role of its backups may not read it (GRANT pg_read_all_settings)']
      : []),
    ...(closed.length > 0
      ? [`the extensions of ${closed.map(name => `"${name}"`).join(', ')} are not known: the role of its backups may not connect there`]
      : []),
  ];
}

/** What of a host that is to run a restored server is lacking, and what could not be looked at, each a sentence. */
export interface Lacking {
  lacks: string[];
  unchecked: string[];
}

/**
 * What the source had, as its backup recorded it, and this installation has no files of: a server starts without an extension and fails
 * at its first use, and does not start at all without a library that it is to load.
 */
export async function lacksFiles(ctx: TargetContext<PostgresConfig>, tools: Tools, manifest: Manifest): Promise<Lacking> {
  const recorded = readBaseline(manifest.baseline);
  if (!recorded) return { lacks: [], unchecked: ['the backup records nothing of the extensions of the source'] };
  const places = await placesOf(ctx, tools);
  if (!places)
    return {
      lacks: [],
      unchecked: [`no pg_config of PostgreSQL ${tools.major} is here to tell where its extensions and libraries lie (libpq-dev has it)`],
    };
  const system = join(places.share, 'extension');
  const controls = dirsIn(recorded.controlPath, '$system', system, 'extension');
  const libraries = dirsIn(recorded.libraryPath, '$libdir', places.libraries);
  const isOpen = tools.major >= HAS_PATH && recorded.controlPath === undefined;
  const lacks: string[] = [];
  const extensions = Object.values(recorded.databases).flatMap(({ contents }) => Object.keys(contents?.extensions ?? {}));
  for (const name of [...new Set(extensions)].sort())
    if (!(await isIn(controls, `${name}.control`)))
      lacks.push(`extension ${name} (no ${name}.control in ${controls.join(', ')}${isOpen ? ELSEWHERE : ''})`);
  for (const name of namesIn(recorded.preload ?? '')) {
    const file = libraryAt(name, places.libraries);
    const there = name.includes('/') ? await exists(file) : await isIn(libraries, basename(file));
    if (!there) lacks.push(`library ${name} of shared_preload_libraries (no ${file})`);
  }
  return { lacks, unchecked: unknownOf(recorded) };
}
