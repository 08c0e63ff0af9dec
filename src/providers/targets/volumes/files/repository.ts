import type { Store } from '../../../../core/contracts.ts';
import { parseDuration } from '../../../../core/duration.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { isId } from '../../../../core/id.ts';
import { withSource } from './bridge.ts';
import { type Context, hostOf, passwordOf, prefixOf } from './context.ts';
import { faultOf, isLocked, keptBy, readFault, refuseFailed } from './faults.ts';
import { askRestic, type Ended, fromEnvironment, makeRoom, type RunOptions, reachFor, runRestic, words } from './program.ts';
import { type Snapshot, snapshotsOf } from './said.ts';

const LOOK_MS = 5000;

/** Whether a store has a repository. Throws BkpError('storeUnreachable'). */
export const hasRepository = async (ctx: Context, store: Store): Promise<boolean> =>
  (await store.stat(`${prefixOf(ctx)}/config`)) !== undefined;

/** Objects by which processes of restic lock a repository. */
export async function locksIn(ctx: Context, store: Store): Promise<{ key: string; modified: Date }[]> {
  const found: { key: string; modified: Date }[] = [];
  for await (const { key, modified } of store.list(`${prefixOf(ctx)}/locks/`)) found.push({ key, modified });
  return found;
}

/**
 * Takes away what runs that are dead have locked; restic knows them by their process on this host, or by 30 minutes of silence. Those of
 * the living stay. Where a store lets nobody delete they stay too, and that is told: a lock of a dead backup hinders no other one, only a
 * prune, which could delete nothing there either.
 */
async function unlock(ctx: Context, store: Store): Promise<void> {
  const before = (await locksIn(ctx, store)).length;
  if (before === 0) return;
  const ended = await runRestic(ctx, await reachFor(ctx, store), ['unlock']);
  const kept = ended.code === 0 ? undefined : keptBy(ended.lines);
  if (kept !== undefined) {
    const text = `store ${store.name} keeps ${before} lock(s) of restic, which could not be taken away: ${kept}`;
    ctx.report.emit({ type: 'warning', text });
    return;
  }
  refuseFailed(ctx, store, 'unlock', ended);
  const gone = before - (await locksIn(ctx, store)).length;
  if (gone > 0) ctx.report.emit({ type: 'note', text: `store ${store.name}: ${gone} lock(s) of runs of restic that died were taken away` });
}

/**
 * Runs restic on the repository of a store; while another one has it locked, it is tried again.
 * @param start what runs it: here unless given
 * @throws BkpError('conflict') when that takes longer than `lockWait`; what `runRestic` throws
 */
export async function onRepository(
  ctx: Context,
  store: Store,
  args: readonly string[],
  options: RunOptions = {},
  start: typeof runRestic = runRestic,
): Promise<Ended> {
  const until = ctx.clock.now().getTime() + parseDuration(ctx.config.lockWait);
  await unlock(ctx, store);
  for (let told = false; ; told = true) {
    const ended = await start(ctx, await reachFor(ctx, store), args, options);
    const text = words(ended.lines);
    if (ended.code === 0 || !isLocked(ended.lines.join('\n'))) return ended;
    if (ctx.clock.now().getTime() >= until) throw faultOf(ctx, store, args[0]!, text);
    if (!told) ctx.report.emit({ type: 'note', text: `store ${store.name}: waiting for another restic: ${text}` });
    await ctx.clock.sleep(LOOK_MS, ctx.signal);
  }
}

/** A store of the target, other than this one, that has a repository. */
async function elder(ctx: Context, store: Store): Promise<Store | undefined> {
  for (const other of ctx.stores) {
    if (other === store) continue;
    try {
      if (await hasRepository(ctx, other)) return other;
    } catch (error) {
      ctx.signal.throwIfAborted();
      ctx.report.emit({
        type: 'warning',
        text: `store ${store.name} may get a repository that cuts files otherwise than the one in store ${other.name}, which does not answer (${sentence(error)}): copies between them will take more room`,
      });
    }
  }
  return undefined;
}

const refuseOver = (ctx: Context, store: Store, key: string): BkpError =>
  new BkpError(
    'verifyFailed',
    `store ${store.name} says that the config of restic's repository is not there, and has ${key}: no new repository is made over it, after which nothing there could be read`,
    {
      next: [
        `bkp verify volumes ${ctx.name} --from ${store.name}`,
        `where the config stays lost, nobody can read the rest: move what is under ${ctx.base}/ in that store away, and the next backup makes a new repository`,
      ],
    },
  );

/**
 * restic 0.14 makes a new key and writes over the config as soon as one question for it is answered with 404, and a store can be wrong in that.
 * Its listing has to say so as well. A run that was ended between key and config left that key, which restic may try first ever after.
 */
async function clearGround(ctx: Context, store: Store): Promise<void> {
  const begun: string[] = [];
  for await (const { key } of store.list(`${prefixOf(ctx)}/`)) {
    // A folder's mark, as consoles of S3 make them.
    if (key.endsWith('/')) continue;
    if (!key.startsWith(`${prefixOf(ctx)}/keys/`)) throw refuseOver(ctx, store, key);
    begun.push(key);
  }
  if (begun.length === 0) return;
  for await (const { key } of store.list(`${ctx.base}/backups/`)) throw refuseOver(ctx, store, key);
  const kept = (await store.remove(begun)).filter(({ ok }) => !ok);
  if (kept.length > 0)
    ctx.report.emit({
      type: 'warning',
      text: `store ${store.name} keeps ${kept.length} key(s) of a repository that was never finished (${kept[0]!.reason ?? kept[0]!.key}): restic may try those first, and say that the password is wrong`,
    });
}

/** Makes a repository that cuts files as those of the other stores do, so that what is copied is found again there. */
async function init(ctx: Context, store: Store): Promise<void> {
  await clearGround(ctx, store);
  await makeRoom(ctx, store);
  const from = await elder(ctx, store);
  const reach = await reachFor(ctx, store);
  const ended = from
    ? await withSource(ctx, from, store, source =>
        runRestic(ctx, reach, ['init', '--copy-chunker-params'], { env: fromEnvironment(ctx, source) }),
      )
    : await runRestic(ctx, reach, ['init']);
  if (ended.code !== 0 && (await hasRepository(ctx, store))) return;
  refuseFailed(ctx, store, 'init', ended);
  ctx.report.emit({ type: 'note', text: `store ${store.name} has a new repository of restic under ${prefixOf(ctx)}/` });
}

/**
 * Sees to it that a store has a repository.
 * @throws BkpError('verifyFailed') where it has what only a repository leaves, and says that there is none; what `runRestic` throws
 */
export async function ready(ctx: Context, store: Store): Promise<void> {
  passwordOf(ctx);
  if (!(await hasRepository(ctx, store))) await init(ctx, store);
}

/**
 * Our snapshots in a store, oldest first: those of other hosts and those without the tag of a backup are somebody else's.
 * @param id only those of this backup
 * @throws BkpError
 */
export async function snapshotsIn(ctx: Context, store: Store, id?: string): Promise<(Snapshot & { backup: string })[]> {
  if (!(await hasRepository(ctx, store))) return [];
  const args = ['snapshots', '--json', '--host', hostOf(ctx), ...(id === undefined ? [] : ['--tag', id])];
  let text = '';
  try {
    for await (const line of askRestic(ctx, await reachFor(ctx, store), args)) text += `${line}\n`;
  } catch (error) {
    ctx.signal.throwIfAborted();
    throw readFault(ctx, store, 'snapshots', error);
  }
  return snapshotsOf(text).flatMap(snapshot => {
    const backup = snapshot.tags.find(isId);
    return backup !== undefined && snapshot.host === hostOf(ctx) ? [{ ...snapshot, backup }] : [];
  });
}

/** Removes snapshots from a repository; their data stays until `prune`. */
export async function forget(ctx: Context, store: Store, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) refuseFailed(ctx, store, 'forget', await onRepository(ctx, store, ['forget', ...ids]));
}

/** Gives back the room of what no snapshot has any more. */
export const prune = async (ctx: Context, store: Store): Promise<void> =>
  refuseFailed(ctx, store, 'prune', await onRepository(ctx, store, ['prune']));
