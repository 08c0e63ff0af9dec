import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative } from 'node:path';
import type { Check, Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { noAttributes } from './attributes.ts';
import { claimChecks } from './claims.ts';
import { type Context, passwordOf } from './context.ts';
import { checkedPlaces } from './paths.ts';
import { isSince, LEAST, program, versionOf } from './program.ts';
import { hasRepository, locksIn, snapshotsIn } from './repository.ts';

/** From it on restic keeps holes when it restores, and waits for locks. */
const GOOD = '0.15.0';

async function attempt(ctx: Context, name: string, work: () => Promise<Omit<Check, 'name'>>): Promise<Check> {
  try {
    return { name, ...(await work()) };
  } catch (error) {
    ctx.signal.throwIfAborted();
    const next = error instanceof BkpError ? error.next[0] : undefined;
    return { name, state: 'fail', text: sentence(error), ...(next === undefined ? {} : { mend: next }) };
  }
}

async function restic(ctx: Context): Promise<Omit<Check, 'name'>> {
  const version = await versionOf(ctx);
  const text = `${version} at ${program(ctx)}`;
  if (!isSince(version, LEAST)) return { state: 'fail', text: `${text}, and ${LEAST} is needed at least`, mend: 'install a newer restic' };
  if (isSince(version, GOOD)) return { state: 'ok', text };
  const unable = noAttributes(ctx);
  if (unable === undefined) return { state: 'ok', text: `${text}; bkp writes files with holes, since it does not` };
  return {
    state: 'warn',
    text: `${text}: it restores no holes by itself, so bkp writes files with holes, without extended attributes and ACLs: ${unable}`,
    mend: `apt-get install attr, or restic ${GOOD} or newer; \`program:\` in the entry names it`,
  };
}

async function repository(ctx: Context, store: Store): Promise<Omit<Check, 'name'>> {
  if (!(await hasRepository(ctx, store))) return { state: 'ok', text: `store ${store.name} has none yet: the first backup makes it` };
  const snapshots = await snapshotsIn(ctx, store);
  const locks = (await locksIn(ctx, store)).length;
  return {
    state: 'ok',
    text: `store ${store.name}: the password opens it; ${snapshots.length} snapshot(s)${locks > 0 ? `, ${locks} lock(s) of restic that runs or died` : ''}`,
  };
}

/** A store that lies in a directory that is backed up, and is read with it. */
async function storeIn(ctx: Context, path: string): Promise<Store | undefined> {
  const { exclude, oneFileSystem } = ctx.config;
  const from = await realpath(path);
  for (const store of ctx.stores) {
    const at = store.place === undefined ? undefined : await realpath(store.place).catch(() => undefined);
    if (at === undefined || relative(from, at).split('/')[0] === '..') continue;
    if (exclude.some(each => isAbsolute(each) && relative(each, at).split('/')[0] !== '..')) continue;
    if (!oneFileSystem || (await stat(from)).dev === (await stat(at)).dev) return store;
  }
  return undefined;
}

/** restic and its version, the password, the paths with mount points and marker, and the repositories. Makes nothing. */
export async function* doctor(ctx: Context): AsyncIterable<Check> {
  const tool = await attempt(ctx, 'restic', () => restic(ctx));
  yield tool;
  const key = await attempt(ctx, 'password of restic', async () => {
    passwordOf(ctx);
    return { state: 'ok', text: ctx.config.password === undefined ? 'derived from the identity of this host' : 'there' };
  });
  yield key;
  for (const path of ctx.config.paths ?? [])
    yield await attempt(ctx, 'path', async () => {
      const [place] = await checkedPlaces(ctx, [path]);
      const store = await storeIn(ctx, path);
      if (store)
        return {
          state: 'warn',
          text: `${path} has store ${store.name} in it (${store.place}): each backup holds all those before it once more`,
          mend: `exclude: ['${store.place}']   # in volumes/${ctx.name}`,
        };
      return {
        state: 'ok',
        text: `${path}${place!.mount ? ', a mount point' : ', no mount point'}${ctx.config.marker ? `, with ${ctx.config.marker}` : ''}`,
      };
    });
  if (ctx.config.claims) yield* claimChecks(ctx, ctx.config.claims);
  if (tool.state === 'fail' || key.state === 'fail') return;
  for (const store of ctx.stores) yield await attempt(ctx, 'repository of restic', () => repository(ctx, store));
}
