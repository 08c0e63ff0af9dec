import { join } from 'node:path';
import { formatAge } from '../../../core/age.ts';
import { chooseBackup } from '../../../core/choose.ts';
import type { Bytes, Id, Known, PieceRef, Reached, RestoreRequest, Store } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { pasted } from '../../../core/shell.ts';
import { assertOpens } from '../../../flow/age.ts';
import { complete, INCOMPLETE, type Owner, occupy, refuseClosed, refuseFull } from '../../../flow/place.ts';
import { inWords, leastDatabases, readBaseline, unlikeRecorded } from './baseline.ts';
import type { Context } from './cli.ts';
import { formatName, nameOf, reads } from './formats.ts';
import { layOut, type Names, namesOf, writeDump } from './layout.ts';
import { type Backup, backupOf } from './manifest.ts';
import { modulesInWords } from './modules.ts';
import { inspect, ownerOf } from './place.ts';
import { USUAL_DATABASES } from './private.ts';
import { cannotRead, serverPrograms } from './programs.ts';
import { type Rdb, RdbReader } from './rdb/reader.ts';

/** Plain bytes of a piece out of some stores. */
export type Read = (piece: PieceRef, from: readonly Store[]) => Bytes;

/** A backup that was chosen, and what its dump is read with. */
export interface Chosen extends Backup {
  stores: readonly Store[];
}

/** The backup that is wanted, once it is certain that this host opens it. Throws BkpError('usage' | 'notFound' | 'verifyFailed'). */
export async function choose(ctx: Context, request: RestoreRequest, known: readonly Known[]): Promise<Chosen> {
  const found = chooseBackup(known, request.want, `redis/${ctx.name}`, ctx.clock.now());
  const backup = backupOf(found.manifest);
  const { line, recipients } = found.manifest;
  if (line.includes('age')) await assertOpens(ctx.keys.identity(), recipients);
  return { ...backup, stores: ctx.stores.filter(({ name }) => found.stores.includes(name)) };
}

/** The lines of a plan that every restore has. */
export const chosenInWords = (ctx: Context, { manifest, format, source }: Backup): string[] => {
  const baseline = readBaseline(manifest.baseline);
  return [
    `backup ${manifest.id}, of ${manifest.recoveryPointAt} (${formatAge(new Date(manifest.recoveryPointAt), ctx.clock.now())}), ${nameOf(source)}, ${formatName(format)}`,
    ...(baseline
      ? [`it holds ${inWords(baseline.databases)}${baseline.functions > 0 ? ` and ${baseline.functions} function libraries` : ''}`]
      : []),
  ];
};

/** Reads the dump of a backup to its end into a file. Throws BkpError('verifyFailed') when it is not the one that was recorded. */
export async function fetchDump(ctx: Context, chosen: Chosen, path: string, read: Read, horizon = 0): Promise<Rdb> {
  const reader = new RdbReader(ctx.clock.now().getTime(), horizon);
  const rdb = await writeDump(read(chosen.piece, chosen.stores), path, reader);
  const baseline = readBaseline(chosen.manifest.baseline);
  const [unlike] = [
    ...(rdb.magic !== chosen.format.magic || rdb.version !== chosen.format.version ? [`it is ${formatName(rdb)}`] : []),
    ...(baseline ? unlikeRecorded(baseline, rdb) : []),
  ];
  if (unlike) throw new BkpError('verifyFailed', `the dump of backup ${chosen.manifest.id} is not what was recorded: ${unlike}`);
  return rdb;
}

/** RD08: the programs that would serve the files have to read the format, where this host has any. */
async function refuseSkew(ctx: Context, request: RestoreRequest, { format, source }: Chosen): Promise<string[]> {
  const programs = await serverPrograms(ctx);
  const able = programs.filter(each => reads(each, format) !== 'no');
  if (able.length > 0 || (programs.length === 0 && !request.toRun)) return [];
  const text = cannotRead(format, source, programs);
  if (request.force) return [`${text}: it is written all the same, for another host`];
  throw new BkpError('refused', text, {
    next: [`install ${nameOf(source)} or newer, or name its directory in \`bin:\` of redis/${ctx.name}`, '--force writes it all the same'],
  });
}

/** `redis-check-aof` of this host, where its version knows the dump. */
async function checkAof(ctx: Context, { format, source }: Chosen, dir: string, names: Names): Promise<string | undefined> {
  if (majorOf(source.version) < 7) return undefined;
  const programs = (await serverPrograms(ctx)).filter(each => reads(each, format) === 'yes');
  const file = programs.map(({ file: server }) => ctx.run.which(server.replace(/-server$/, '-check-aof'))).find(each => each !== undefined);
  if (!file) return undefined;
  await ctx.run.text({ file, args: [join(dir, names.aofDir, `${names.aof}.manifest`)] }, { signal: ctx.signal });
  return file;
}

export const majorOf = (version: string): number => Number(version.split('.')[0]);

/**
 * Restores a dump into an empty directory, laid out so that its data are there whether a server starts with an AOF or without.
 * @returns undefined after a dry run
 * @throws BkpError('refused' | 'notFound') before anything changes; any later error leaves the directory marked incomplete
 */
export async function restoreFiles(
  ctx: Context,
  request: RestoreRequest,
  known: readonly Known[],
  read: Read,
  begin: (id: Id) => Promise<void>,
): Promise<Reached | undefined> {
  const chosen = await choose(ctx, request, known);
  const skew = await refuseSkew(ctx, request, chosen);
  const aside = await inspect(ctx, request.to, request.force);
  const owner = await ownerOf(ctx, request);
  await refuseFull(request.to, chosen.piece.bytes * (majorOf(chosen.source.version) < 7 ? 2 : 1), '--to');
  await refuseClosed(request.to, owner);
  const plan = [
    `redis/${ctx.name} of ${ctx.env} → ${request.to}${owner ? ` (owner uid ${owner.uid})` : ''}`,
    ...chosenInWords(ctx, chosen),
    ...skew,
    ...(aside ? [`what is in ${request.to} now is moved aside, not removed`] : []),
  ];
  if (request.dryRun) {
    for (const text of plan) ctx.report.emit({ type: 'note', text });
    return undefined;
  }
  await request.confirm(plan);
  await begin(chosen.manifest.id);
  const moved = await occupy(ctx, request.to, aside, owner);
  try {
    return await bringBack(ctx, request.to, chosen, owner, read, moved);
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    throw new BkpError(error.exit, error.message, {
      next: [
        ...error.next,
        `${request.to} is incomplete (${INCOMPLETE}); --force moves it aside`,
        ...(moved ? [`what was there before is in ${moved}`] : []),
      ],
      cause: error,
    });
  }
}

async function bringBack(
  ctx: Context,
  to: string,
  chosen: Chosen,
  owner: Owner | undefined,
  read: Read,
  moved: string | undefined,
): Promise<Reached> {
  const { manifest } = chosen;
  const baseline = readBaseline(manifest.baseline);
  const names = namesOf(baseline);
  const rdb = await fetchDump(ctx, chosen, join(to, names.dump), read);
  await layOut(to, names, majorOf(chosen.source.version), owner);
  const checked = await checkAof(ctx, chosen, to, names);
  await complete(to);
  const keys = rdb.databases ? [...rdb.databases.values()].reduce((sum, each) => sum + each.keys, 0) : undefined;
  return {
    at: new Date(manifest.recoveryPointAt),
    facts: {
      backup: manifest.id,
      dataDir: to,
      rdb: formatName(rdb),
      ...(keys === undefined ? {} : { keys }),
      ...(checked ? { checkedBy: checked } : {}),
      ...(moved ? { movedAside: moved } : {}),
    },
    next: [
      ...(moved ? [`what was there before is in ${moved}`] : []),
      ...(rdb.moduleTypes.length > 0
        ? [`the dump has ${modulesInWords(rdb.moduleTypes, baseline)}: a server without them ends at its start`]
        : []),
      ...howToStart(to, names, chosen, baseline?.aof?.appendonly, leastDatabases(baseline)),
    ],
  };
}

/** Both ways of starting find the data; which one it was on the source, and what the other one leaves behind. */
function howToStart(to: string, names: Names, { source }: Chosen, appendonly: string | undefined, databases: number): string[] {
  const server = source.flavor === 'valkey' ? 'valkey-server' : 'redis-server';
  const aof = majorOf(source.version) < 7 ? names.aof : names.aofDir;
  const more = databases > USUAL_DATABASES ? ` --databases ${databases}` : '';
  const was = appendonly === undefined ? '' : `   # the source had appendonly ${appendonly}`;
  return [
    `start the server on it: ${server} CONFIG --dir ${pasted(to)} --dbfilename ${pasted(names.dump)}${more}${was}`,
    `it loads ${aof} with appendonly yes, and ${names.dump} with appendonly no; in the latter case remove ${join(to, aof)} once it runs, or a later start with an AOF would load it`,
  ];
}
