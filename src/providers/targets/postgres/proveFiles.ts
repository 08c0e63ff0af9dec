import type { Command, Manifest, TargetContext, Trial } from '../../../core/contracts.ts';
import { isWalg } from './base.ts';
import type { PostgresConfig } from './config.ts';
import { controlData, type Private } from './private.ts';
import { few, isOfHost, said } from './proveRun.ts';

type Context = TargetContext<PostgresConfig>;

const command = (place: Private, program: string, args: readonly string[]): Command => ({
  file: place.tools.path(program),
  args,
  cwd: '/',
  ...(place.owner ?? {}),
});

/** What a program complains of, without its name and the directory, which is gone when somebody reads it. */
const complaints = (lines: readonly string[], program: string, place: Private): string[] =>
  lines
    .filter(line => line.startsWith(`${program}: `) && !/^\S+: (?:warning|detail|hint): /.test(line))
    .map(line => line.replaceAll(`${place.dataDir}/`, '').replace(/^\S+: (?:error: |fatal: )?/, ''));

/** The end of a program that looks at files: nothing to complain of, the complaints one by one, or an end for which the host is to blame. */
async function looked(ctx: Context, place: Private, name: string, args: readonly string[], fine: string): Promise<Trial[]> {
  const { code, lines } = await said(ctx, command(place, name, args));
  if (code === 0) return [{ name, state: 'ok', text: fine }];
  const last = lines.slice(-4).join(' | ');
  if (isOfHost(last)) return [{ name, state: 'unproven', text: `it could not do its work: ${last}` }];
  const found = complaints(lines, name, place);
  return few(name, found.length > 0 ? found : [`it ended with exit code ${code}: ${last}`]);
}

/**
 * Every file of the unpacked base against the manifest that PostgreSQL wrote, and its WAL from start to end (so without -n). Before
 * recovery. WAL-G keeps no backup_manifest (tried on 3.0.9), so there is nothing to compare its files with.
 */
export async function verifyFiles(ctx: Context, place: Private, manifest: Manifest): Promise<Trial[]> {
  const name = 'pg_verifybackup';
  if (isWalg(manifest))
    return [{ name, state: 'note', text: 'WAL-G keeps no backup_manifest: its files have no checksums to compare with' }];
  return looked(ctx, place, name, [place.dataDir], 'every file and the WAL are as PostgreSQL recorded them');
}

/** The checksum of every page, of a cluster that was shut down clean; one without checksums is told so. */
export async function verifyPages(ctx: Context, place: Private): Promise<Trial[]> {
  const version = (await controlData(ctx, place)).get('Data page checksum version');
  if (version !== '0')
    return looked(ctx, place, 'pg_checksums', ['--check', '-D', place.dataDir], 'every page has the checksum of its contents');
  const text = 'the cluster has no page checksums, so damage within free space, and in what amcheck does not read, would not be seen';
  return [{ name: 'pg_checksums', state: 'note', text, mend: 'pg_checksums --enable -D …   # on the stopped source' }];
}
