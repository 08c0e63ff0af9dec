import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Id, Known, Reached, RestoreRequest } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { formatBytes } from '../../../core/size.ts';
import { exclusive } from '../../../flow/exclusive.ts';
import { freeBytes } from '../../../flow/place.ts';
import { type Databases, differences, inWords, readBaseline } from './baseline.ts';
import { Borrowed } from './borrowed.ts';
import { type Cli, type Context, openCli, withCli } from './cli.ts';
import { type Feeder, feed } from './feeder.ts';
import { formatName, nameOf } from './formats.ts';
import { inStep } from './handOver.ts';
import { keyspace, numberOf } from './info.ts';
import { called, infoOf, type Live, NO_WRITES } from './live.ts';
import { refuseModules } from './modules.ts';
import { persist } from './persist.ts';
import { preflight, refuseSmall } from './preflight.ts';
import { HORIZON_MS } from './prove.ts';
import type { Rdb } from './rdb/reader.ts';
import { type Chosen, choose, chosenInWords, fetchDump, type Read } from './restore.ts';

/** The running server in words. */
export const online = (ctx: Context): string => `the running server at ${ctx.config.host}:${ctx.config.port}`;

/**
 * Restores into the running server: what it holds is backed up, then it is made a replica of a dump, for as long as that takes. Functions,
 * times to live and all databases come along, and its own replicas follow.
 * @returns undefined after a dry run
 * @throws BkpError('refused' | 'notFound') before anything changes; later ones say which backup holds what was there
 */
export async function restoreOnline(
  ctx: Context,
  request: RestoreRequest,
  known: readonly Known[],
  read: Read,
  begin: (id: Id) => Promise<void>,
): Promise<Reached | undefined> {
  const chosen = await choose(ctx, request, known);
  const { host, port, where } = ctx.config;
  const free = await exclusive('redis', [where, host, port], `${called(ctx)}: a restore into it is running on this host already`);
  try {
    return await withCli(ctx, cli => into(ctx, cli, chosen, request, begin, read));
  } finally {
    await free();
  }
}

async function into(
  ctx: Context,
  cli: Cli,
  chosen: Chosen,
  request: RestoreRequest,
  begin: (id: Id) => Promise<void>,
  read: Read,
): Promise<Reached | undefined> {
  const { live, address, tls } = await preflight(ctx, cli, chosen, request);
  const scratch = await roomFor(ctx, chosen);
  const followers = numberOf(live.info, 'connected_slaves');
  const killed = live.settings?.get('min-replicas-to-write') === NO_WRITES;
  const plan = [
    `redis/${ctx.name} of ${ctx.env} → ${request.to}, ${nameOf(live)}`,
    ...chosenInWords(ctx, chosen),
    `what is there now (${inWords(keyspace(live.info))}) is backed up first, then replaced; until it is done the server refuses writes`,
    ...(killed ? [LEFT_CLOSED] : []),
    ...(followers > 0 ? [`its ${followers} replica(s) follow`] : []),
  ];
  if (request.dryRun) {
    for (const text of plan) ctx.report.emit({ type: 'note', text });
    return undefined;
  }
  await request.confirm(plan);
  await begin(chosen.manifest.id);
  const path = join(scratch, 'dump.rdb');
  const rdb = await fetchDump(ctx, chosen, path, read, HORIZON_MS);
  refuseSmall(ctx, live, rdb);
  refuseModules(ctx, live, rdb.moduleTypes, readBaseline(chosen.manifest.baseline));
  return await replace(ctx, cli, { live, address, tls, killed, chosen, rdb, path, secure: request.secure! });
}

async function roomFor(ctx: Context, { piece }: Chosen): Promise<string> {
  const dir = await ctx.scratch();
  const free = await freeBytes(dir);
  if (free >= piece.bytes) return dir;
  throw new BkpError('refused', `the dump has ${formatBytes(piece.bytes)}, and ${dir} has ${formatBytes(free)} free`, {
    next: '`temp:` in the config names a directory with more room',
  });
}

interface Work {
  live: Live;
  address: string;
  tls: boolean;
  /** An earlier restore was killed, and left its own settings there. */
  killed: boolean;
  chosen: Chosen;
  rdb: Rdb;
  path: string;
  secure: () => Promise<Id>;
}

/** A password as this makes one. */
const OURS = /^[0-9a-f]{48}$/;

/** What was set before that restore nobody knows any more; the server's own configuration does, since nothing is written there. */
const LEFT_CLOSED =
  'a restore that was killed had left it refusing writes; min-replicas-to-write becomes 0. Where its configuration says otherwise of that, of masterauth or of tls-replication, restart it, or set them';

async function replace(ctx: Context, cli: Cli, work: Work): Promise<Reached> {
  const borrowed = new Borrowed(ctx);
  const password = randomBytes(24).toString('hex');
  let secured: Id | undefined;
  let turned = false;
  let feeder: Feeder | undefined;
  try {
    await borrowed.set(cli, work.live, 'min-replicas-to-write', NO_WRITES, before => (work.killed ? '0' : before));
    secured = await work.secure();
    ctx.report.emit({ type: 'note', text: `what was there is backup ${secured}` });
    feeder = await feed({ path: work.path, bytes: work.rdb.bytes }, work.address, password, randomBytes(20).toString('hex'));
    if (work.tls) await borrowed.set(cli, work.live, 'tls-replication', 'no');
    await borrowed.set(cli, work.live, 'masterauth', password, before => (work.killed && OURS.test(before) ? '' : before));
    turned = true;
    await cli.ask('REPLICAOF', work.address, String(feeder.port));
    await inStep(ctx, cli, feeder, work.live);
    await cli.ask('REPLICAOF', 'NO', 'ONE');
    turned = false;
    const found = await compared(ctx, cli, work);
    const left = await borrowed.putBack(cli);
    if (left.length > 0)
      throw new BkpError('failed', `${called(ctx)} holds the restored data, and not all of its settings are back`, { next: left });
    await persist(ctx, cli);
    return reached(ctx, work, secured, found);
  } catch (error) {
    throw await undone(ctx, borrowed, turned, secured, work, error);
  } finally {
    await feeder?.close();
  }
}

async function compared(ctx: Context, cli: Cli, { chosen, rdb }: Work): Promise<Databases> {
  const found = keyspace(await infoOf(cli));
  const faults = differences(rdb, readBaseline(chosen.manifest.baseline), found, false, true);
  if (faults.length === 0) return found;
  throw new BkpError('verifyFailed', `${called(ctx)} does not hold what the backup does: ${faults.slice(0, 5).join('; ')}`);
}

function reached(ctx: Context, { chosen, rdb, killed }: Work, secured: Id, found: Databases): Reached {
  return {
    at: new Date(chosen.manifest.recoveryPointAt),
    facts: { backup: chosen.manifest.id, before: secured, rdb: formatName(rdb), databases: found },
    next: [
      `it holds ${inWords(found)}, and they are saved on its disk`,
      ...(killed ? [LEFT_CLOSED] : []),
      `what was there before is backup ${secured}: bkp restore redis ${ctx.name} --from-backup ${secured} --online`,
    ],
  };
}

/** Lets the server be a master with its own settings again, also when this run was ended by a signal. */
async function undone(
  ctx: Context,
  borrowed: Borrowed,
  turned: boolean,
  secured: Id | undefined,
  { chosen }: Work,
  error: unknown,
): Promise<unknown> {
  const calm = { ...ctx, signal: new AbortController().signal };
  const left: string[] = [];
  let holds = '';
  const cli = await openCli(calm);
  try {
    if (turned)
      await cli.ask('REPLICAOF', 'NO', 'ONE').catch(cause => left.push(`REPLICAOF NO ONE   # could not be said: ${sentence(cause)}`));
    left.push(...(await borrowed.putBack(cli)));
    if (secured)
      holds = await infoOf(cli).then(
        info => `it holds ${inWords(keyspace(info))} now`,
        cause => `what it holds now it does not tell: ${sentence(cause)}`,
      );
  } finally {
    await cli.site.close();
  }
  const next = [
    ...left,
    ...(holds ? [holds] : []),
    ...(secured ? [`what was there before is backup ${secured}: bkp restore redis ${ctx.name} --from-backup ${secured} --online`] : []),
    ...(secured ? [`to try again: --from-backup ${chosen.manifest.id}; --latest would be ${secured}`] : []),
  ];
  if (!(error instanceof BkpError)) return error;
  const exit = secured && error.exit === 'refused' ? 'failed' : error.exit;
  return new BkpError(exit, error.message, { next: [...error.next, ...next], cause: error });
}
