import { BkpError } from '../../../core/errors.ts';
import type { Context } from './cli.ts';
import { type Format, formatName, nameOf, programVersion, reads, type Version } from './formats.ts';

/** A server program of this host. */
export interface Program extends Version {
  file: string;
}

const SERVERS = ['redis-server', 'valkey-server'];

/** Server programs in `bin:` and on PATH, those of `bin:` first. One that does not say its version is none. */
export async function serverPrograms(ctx: Context): Promise<Program[]> {
  const places = [...ctx.config.bin.map(dir => [dir]), []];
  const files = places.flatMap(dirs => SERVERS.map(name => ctx.run.which(dirs[0] ? `${dirs[0]}/${name}` : name)));
  const found: Program[] = [];
  for (const file of new Set(files.filter(each => each !== undefined))) {
    const said = await ctx.run.text({ file, args: ['--version'] }, { signal: ctx.signal, timeoutMs: 10_000 }).catch(() => undefined);
    const version = programVersion(said?.stdout ?? '');
    if (version) found.push({ file, ...version });
  }
  return found;
}

/** Whether a version is at least as new as another. */
const isNewer = (a: Version, b: string): boolean => a.version.localeCompare(b, 'en', { numeric: true }) >= 0;

/**
 * The program on which a dump is tried: of the source's kind and as new as it where there is one, else any that reads the format.
 * @throws BkpError('failed') naming the format and what was found
 */
export async function programFor(ctx: Context, dump: Format, source: Version): Promise<Program> {
  const found = await serverPrograms(ctx);
  const able = found.filter(each => reads(each, dump) !== 'no');
  const best = able.find(each => each.flavor === source.flavor && isNewer(each, source.version)) ?? able[0];
  if (best) return best;
  throw new BkpError('failed', cannotRead(dump, source, found), {
    next: `install ${nameOf(source)} or newer, or name its directory in \`bin:\` of redis/${ctx.name}`,
  });
}

/** The sentence of a dump that none of some servers reads. */
export const cannotRead = (dump: Format, source: Version, found: readonly Version[]): string =>
  `the dump is ${formatName(dump)}, of ${nameOf(source)}, and ${found.length > 0 ? `${found.map(nameOf).join(' and ')} cannot read it` : 'there is no redis-server or valkey-server on this host'}`;
