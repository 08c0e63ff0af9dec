import { basename, dirname } from 'node:path';
import type { Check, Id, Site, Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import type { Source } from './capture.ts';
import { type Claims, type Mountable, type Skipped, selection } from './cluster.ts';
import { accessOf, type Context, prefixOf, who } from './context.ts';
import { inJob, pathOf } from './job.ts';
import { type Ended, environmentOf, type RunOptions, type runRestic } from './program.ts';
import { reachOf } from './reach.ts';
import { few, type Taken, take, Unfit } from './take.ts';

export { CLAIMS_AT } from './job.ts';

/** Says at the end how restic ended: kubectl can cut the end of what a tool says, and ends with 0 all the same. */
const TELL = 'trap \'kill "$tool"\' TERM; "$@" 2>&1 & tool=$!; wait "$tool"; echo "bkp-exit $?"';

const FILE = /^bkp-exit (\d+)$/;

/** restic in the pod of a Job, told by its environment through stdin where the repository is. */
export const resticIn =
  (site: Site, store: Store, dir: string): typeof runRestic =>
  async (ctx: Context, _reach, args, { onLine }: RunOptions = {}): Promise<Ended> => {
    const access = accessOf(ctx, store);
    const ca = access.kind === 's3' && access.ca !== undefined ? { ca: `${dir}/ca.pem` } : {};
    const reach = reachOf(access, prefixOf(ctx), ca);
    const env = { ...environmentOf(ctx, reach), RESTIC_PROGRESS_FPS: '0.05' };
    const words = ['-c', TELL, 'sh', 'restic', ...args.slice(0, 1), '--no-cache', ...reach.args, ...args.slice(1)];
    const { stdout } = await site.text({ file: 'sh', args: words, env });
    const lines = stdout.split('\n').filter(line => line !== '');
    const code = FILE.exec(lines.pop() ?? '')?.[1];
    if (code === undefined)
      throw new BkpError('failed', `restic in ${site.name} was cut off before it said how it ended`, { next: 'run it again' });
    for (const line of lines) onLine?.(line);
    return { code: Number(code), signal: null, lines };
  };

async function refuseUnmarked(ctx: Context, site: Site, path: string): Promise<void> {
  const { marker } = ctx.config;
  if (marker === undefined || (await site.names(path)).includes(marker)) return;
  throw new Unfit('refused', `${who(ctx)}: ${path} in ${site.name} has no ${marker}, so it is not the volume that it should be`, {
    next: 'make it there, where it is the right one',
  });
}

/** Files that were written to after `since` was made, by the clock of the same node. */
async function changedSince(site: Site, path: string, since: string): Promise<string[]> {
  const { stdout } = await site.text({ file: 'find', args: [path, '-xdev', '-type', 'f', '-newer', since] });
  return stdout.split('\n').filter(line => line !== '');
}

/** A directory in the pod for what restic is told there. */
export async function roomIn(ctx: Context, site: Site, store: Store): Promise<string> {
  const dir = await site.dir();
  const access = accessOf(ctx, store);
  if (access.kind === 's3' && access.ca !== undefined) await site.write(`${dir}/ca.pem`, one(access.ca));
  return dir;
}

const isIn = async (site: Site, path: string): Promise<boolean> => (await site.names(dirname(path))).includes(basename(path));

async function takeIn(ctx: Context, site: Site, store: Store, id: Id, path: string): Promise<Taken> {
  await refuseUnmarked(ctx, site, path);
  const dir = await roomIn(ctx, site, store);
  const since = `${dir}/since`;
  await site.write(since, one('\n'));
  const taken = await take(ctx, store, id, [path], { start: resticIn(site, store, dir), isThere: path => isIn(site, path) });
  const changed = await changedSince(site, path, since);
  return changed.length === 0
    ? taken
    : { ...taken, warnings: [...taken.warnings, `${changed.length} file(s) changed while read: ${few(changed)}`] };
}

async function* one(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** A pod reaches no directory of this host. Throws BkpError('usage'). */
function refuseHere(ctx: Context, store: Store): void {
  if (accessOf(ctx, store).kind !== 'directory') return;
  throw new BkpError('usage', `store ${store.name} is a directory of this host, which the pod of a Job does not reach`, {
    next: '`stores:` of the entry names one of S3 first; the others get their copies from here',
  });
}

const told = ({ name, reason }: Skipped): string => `claim ${name} is not backed up: ${reason}`;

/** @throws BkpError('refused') where the entry wants every claim */
function judged(
  { skipped: policy }: Claims,
  skipped: readonly Skipped[],
  entry: string,
): Pick<Source, 'lacks' | 'warnings' | 'notCovered'> {
  const texts = skipped.map(told);
  if (texts.length > 0 && policy === 'fail')
    throw new BkpError('refused', `${entry}: ${texts.join('; ')}`, {
      next: '`claims.skipped: partial` or `done` in the entry goes on without them, and the manifest says so',
    });
  return { lacks: policy === 'partial' ? texts : [], warnings: policy === 'done' ? texts : [], notCovered: texts };
}

const part = (ctx: Context, claims: Claims, claim: Mountable): Source['parts'][number] => {
  const path = pathOf(claims.namespace, claim.name);
  return {
    name: `${claims.namespace}-${claim.name}`,
    paths: [path],
    async take(store, id) {
      refuseHere(ctx, store);
      return inJob(ctx, claims, claim, id, site => takeIn(ctx, site, store, id, path));
    },
  };
};

/** Files of persistent volume claims, each read by a Job of its own. Throws BkpError when none can be. */
export async function fromClaims(ctx: Context, claims: Claims): Promise<Source> {
  const { mountable, skipped } = await selection(ctx, claims);
  const told = judged(claims, skipped, who(ctx));
  if (mountable.length === 0)
    throw new BkpError(
      'failed',
      `${who(ctx)}: no claim can be mounted: ${skipped.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}`,
    );
  return { parts: mountable.map(claim => part(ctx, claims, claim)), places: [], ...told };
}

/** The claims of an entry, and those that cannot be mounted. Makes no Job. */
export async function* claimChecks(ctx: Context, claims: Claims): AsyncGenerator<Check> {
  try {
    const { mountable, skipped } = await selection(ctx, claims);
    for (const { name, node, pod } of mountable)
      yield {
        name: 'claim',
        state: 'ok',
        text: `${claims.namespace}/${name}${pod ? `, used by pod ${pod} on ${node}` : ', which no pod uses'}`,
      };
    for (const { name, reason } of skipped)
      yield {
        name: 'claim',
        state: claims.skipped === 'fail' ? 'fail' : 'warn',
        text: `${claims.namespace}/${name} cannot be mounted: ${reason}`,
      };
    if (ctx.stores[0]) refuseHere(ctx, ctx.stores[0]);
  } catch (error) {
    ctx.signal.throwIfAborted();
    const next = error instanceof BkpError ? error.next[0] : undefined;
    yield { name: 'claims', state: 'fail', text: sentence(error), ...(next === undefined ? {} : { mend: next }) };
  }
}
