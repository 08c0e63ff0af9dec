import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { wants } from './args.ts';
import { type FilesMetadata, readFiles, readSentinel, type Spec } from './backup.ts';
import { fatal, log } from './log.ts';
import type { Run } from './run.ts';
import { lsnText } from './segment.ts';
import { selected } from './select.ts';
import { unwrap } from './unwrap.ts';

const failed = (message: string): never => fatal(`Failed to fetch backup: ${message}`);

/** Makes each tablespace's place and the link to it below `base_prefix`, which is where the backup was taken unless a spec says another. */
function makeTablespaces(spec: Spec): void {
  const links = join(spec.base_prefix, 'pg_tblspc');
  if (spec.tablespaces.length > 0) mkdirSync(links, { recursive: true });
  for (const oid of spec.tablespaces) {
    const { loc, link } = spec[oid] as { loc: string; link: string };
    const at = join(spec.base_prefix, link);
    mkdirSync(loc, { recursive: true });
    if (!lstatSync(at, { throwIfNoEntry: false })) symlinkSync(loc, at);
    else if (readlinkSync(at) !== loc) failed(`error creating correct tablespace symlink symlink ${at} having incorrect target`);
    else log.warning(`Symlink ${at} already exists`);
  }
}

function makeTarget(target: string): void {
  if (existsSync(target)) {
    if (readdirSync(target).length > 0) failed(`Directory ${target} for delta base must be empty`);
    return;
  }
  mkdirSync(target, { recursive: true });
  chmodSync(target, 0o750);
}

/** Names that a backup has, but is not to restore: those that a delta above it has itself, or that are gone since. Directories always are. */
function unwanted({ Files = {} }: FilesMetadata, wanted: ReadonlySet<string> | undefined): string[] {
  const directories = new Set<string>();
  for (const name of Object.keys(Files)) for (let at = dirname(name); at !== '/' && at !== '.'; at = dirname(at)) directories.add(at);
  return wanted ? Object.keys(Files).filter(name => !wanted.has(name) && !directories.has(name)) : [];
}

/** Restores a backup over what it builds on; `wanted` is what the delta above it needs of it, everything when undefined. */
async function restore(run: Run, name: string, target: string, spec: Spec | undefined, wanted?: ReadonlySet<string>): Promise<void> {
  const sentinel = await readSentinel(run.folder, name).catch(error => failed(error.message));
  const files = await readFiles(run.folder, name).catch(error => failed(`failed to fetch files metadata: ${error.message}`));
  const from = sentinel.DeltaFrom;
  if (from) {
    log.info(`Delta from ${from} at LSN ${lsnText(sentinel.DeltaLSN!)} `);
    const skipped = Object.entries(files.Files ?? {}).filter(([file, { IsSkipped }]) => IsSkipped && (wanted?.has(file) ?? true));
    await restore(run, from, target, spec, new Set(skipped.map(([file]) => file)));
    log.info(`${from} fetched. Upgrading from LSN ${lsnText(sentinel.DeltaLSN!)} to LSN ${lsnText(sentinel.LSN)} `);
  } else makeTarget(target);
  const places = spec ?? sentinel.Spec;
  if (places) makeTablespaces(places);
  const except = unwanted(files, wanted).map(file => file.slice(1));
  await unwrap(run, name, target, spec ? [...except, 'tablespace_map'] : except, wanted === undefined);
  log.info('\nBackup extraction complete.\n');
}

function readSpec(path: string | undefined): Spec | undefined {
  if (!path) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Spec;
  } catch (error) {
    return fatal(`Invalid restore specification path ${path}\n: ${(error as Error).message}`);
  }
}

/** `backup-fetch DIR NAME|LATEST`, or `backup-fetch DIR --target-user-data JSON`; `--restore-spec FILE` moves tablespaces. */
export async function backupFetch(run: Run): Promise<void> {
  wants(run.args, 1, 2);
  const [target = '', wanted] = run.args.rest;
  log.info('Backup to fetch will be searched in storages: [default]');
  const name = (await selected(run.folder, run.args, wanted)) ?? fatal('Failed to select backup: No backups found');
  await restore(run, name, target, readSpec(run.args.value('restore-spec')));
}
