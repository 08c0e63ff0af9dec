import type { Facts, Id, Known, Piece } from '../../../core/contracts.ts';
import { countsOf, type Databases, readBaseline, totalOf } from './baseline.ts';
import { type Cli, type Context, openCli } from './cli.ts';
import { awaitSaving, type Dump, takeDump } from './dump.ts';
import { fileBytes } from './fileBytes.ts';
import { encodeFormat } from './formats.ts';
import { compareIdentity, historyOf, type Identity, identityOf } from './identity.ts';
import { keyspace, modulesOf, numberOf } from './info.ts';
import { called, isReplica, type Live, lagMs, liveState, refuseOrphan, refuseParts, saveFault } from './live.ts';

/** The name of the one piece of a backup. */
export const PIECE = 'dump.rdb';

/** What a dump will take: what the last one took and a quarter, else what the data take in memory. */
function expectedBytes(live: Live, known: readonly Known[]): number {
  const last = known.at(-1)?.manifest.pieces.find(({ name }) => name === PIECE);
  if (last && 'bytes' in last) return Math.ceil(last.bytes * 1.25);
  return numberOf(live.info, 'used_memory_dataset');
}

/**
 * The instant, by our clock, of what is in a dump. `ctime` is when the server's child began to write it, in whole seconds of the server's
 * clock; a replica may lag behind.
 */
export function recoveryPoint(live: Pick<Live, 'askedAt' | 'serverNow'>, ctime: string | undefined, lag: number): Date {
  const begun = ctime === undefined ? undefined : Number(ctime) * 1000;
  const second = live.serverNow === undefined ? undefined : Math.floor(live.serverNow / 1000) * 1000;
  const age = begun === undefined || second === undefined ? 0 : Math.max(0, second - begun);
  return new Date(live.askedAt - age - lag);
}

const AOF = ['appendonly', 'appenddirname', 'appendfilename', 'dbfilename'];

/** How the source keeps its data: a restored copy is laid out alike. */
const aofOf = ({ settings }: Live): Record<string, string> | undefined =>
  settings && Object.fromEntries(AOF.flatMap(name => (settings.has(name) ? [[name, settings.get(name)!]] : [])));

/** Keys that were there and are all gone: all of them, or those of whole databases, as a queue that is done has none for a while, too. */
function emptied(ctx: Context, databases: Databases, known: readonly Known[]): { all?: string; some: string[] } {
  const last = readBaseline(known.findLast(({ manifest }) => manifest.anomaly === undefined)?.manifest.baseline)?.databases ?? {};
  const gone = Object.entries(last).filter(([name, { keys }]) => keys > 0 && (databases[name]?.keys ?? 0) === 0);
  if (gone.length === 0) return { some: [] };
  if (totalOf(databases) === 0) return { all: `${called(ctx)} has no keys at all, and the backup before has ${totalOf(last)}`, some: [] };
  return {
    some: gone.map(([name, { keys }]) => `database ${name} of ${called(ctx)} has no keys at all, and the backup before has ${keys} there`),
  };
}

const notCounted = ({ rdb }: Dump): string[] =>
  rdb.databases ? [] : ['the dump holds a type that bkp does not know: its checksum is right, its keys are as INFO told them'];

const modulesIn = ({ info }: Live, { moduleTypes }: Dump['rdb']): Record<string, unknown> =>
  moduleTypes.length > 0 ? { modules: modulesOf(info), moduleTypes } : {};

function factsOf(ctx: Context, live: Live, here: Identity, dump: Dump, known: readonly Known[], foreign: string | undefined): Facts {
  const { rdb } = dump;
  const databases = rdb.databases ? countsOf(rdb.databases) : keyspace(live.info);
  const aof = aofOf(live);
  const fault = saveFault(live.info);
  const gone = emptied(ctx, databases, known);
  return {
    ...(gone.all === undefined ? {} : { emptied: gone.all }),
    identity: { ...here },
    at: recoveryPoint(live, rdb.aux.get('ctime'), lagMs(live)),
    needs: [],
    contentBytes: rdb.contentBytes,
    baseline: {
      databases,
      counted: rdb.databases ? 'dump' : 'info',
      functions: rdb.functions,
      ...modulesIn(live, rdb),
      role: isReplica(live) ? 'replica' : 'master',
      // A master without replicas takes a new id for the first one, as which bkp comes.
      history: [...new Set([...[rdb.aux.get('repl-id')].filter(id => id !== undefined), ...historyOf(live)])],
      ...(aof ? { aof } : {}),
    },
    versions: { server: live.version, flavor: live.flavor, rdb: encodeFormat(rdb) },
    notCovered: ['configuration, ACL users and modules of the server', 'what was written after the recovery point'],
    warnings: [
      ...dump.warnings,
      ...(foreign ? [foreign] : []),
      ...gone.some,
      ...notCounted(dump),
      ...(fault ? [`${called(ctx)}: ${fault}: the server itself keeps nothing newer on its disk`] : []),
    ],
  };
}

/**
 * Takes the server's data over the replication protocol, as a replica gets them, and reads them to their end before the first byte is
 * stored.
 * @throws BkpError('refused') before that for a Sentinel, a node of a cluster, a replica without its master, another database, a full
 * disk; 'failed' when the server does not answer, or its dump is not whole
 */
export async function* capture(
  ctx: Context,
  options: { id: Id; newLineage: boolean; known: readonly Known[] },
): AsyncGenerator<Piece, Facts> {
  const cli = await openCli(ctx);
  try {
    const { live, here, foreign } = await ready(ctx, cli, options);
    const dump = await takeDump(ctx, cli, live, expectedBytes(live, options.known));
    yield { name: PIECE, bytes: fileBytes(dump.path, ctx.signal) };
    return factsOf(ctx, live, here, dump, options.known, foreign);
  } finally {
    await cli.site.close();
  }
}

async function ready(
  ctx: Context,
  cli: Cli,
  { known, newLineage }: { known: readonly Known[]; newLineage: boolean },
): Promise<{ live: Live; here: Identity; foreign: string | undefined }> {
  const first = await liveState(ctx, cli);
  refuseParts(ctx, first);
  await awaitSaving(ctx, cli, first);
  const live = await liveState(ctx, cli);
  refuseOrphan(ctx, live);
  const here = await identityOf(ctx, cli);
  const foreign = compareIdentity(ctx, live, here, known, newLineage);
  if (isReplica(live))
    ctx.report.emit({
      type: 'note',
      text: `${called(ctx)} is a replica of ${live.info.get('master_host')}:${live.info.get('master_port')}, in step with it`,
    });
  return { live, here, foreign };
}
