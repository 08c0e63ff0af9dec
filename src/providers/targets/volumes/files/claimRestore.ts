import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { formatAge } from '../../../../core/age.ts';
import { chooseBackup } from '../../../../core/choose.ts';
import type { Id, Known, Manifest, Reached, RestoreRequest, Site, Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { formatBytes } from '../../../../core/size.ts';
import { asidePath, INCOMPLETE } from '../../../../flow/place.ts';
import { baselineOf, partsOf } from './baseline.ts';
import { type Choice, chooseStore, fromAny, includeOf, pathsOf, text } from './choice.ts';
import { resticIn, roomIn } from './claims.ts';
import { type Claim, type Claims, listOf, type Pod, usersOf } from './cluster.ts';
import { compare, type Difference, type Seen, unstaged } from './compare.ts';
import { accessOf, type Context, passwordOf, who } from './context.ts';
import { refuseFailed } from './faults.ts';
import { inJob, pathOf } from './job.ts';
import { shown } from './names.ts';
import { refuseOld } from './program.ts';
import type { Way } from './way.ts';

/** Whether `--to` names a claim. Pure. */
export const isClaim = (to: string): boolean => to.startsWith('claim:');

interface Plan extends Choice {
  manifest: Manifest;
  /** Another store that has it, where those that were tried did not give it. Throws BkpError when there is none. */
  elsewhere(tried: readonly string[]): Promise<Choice>;
  /** What comes back, as a path of the backup: its contents lie in the claim itself. */
  path: string;
  include: readonly string[];
  claims: Claims;
  claim: string;
  /** Where the claim is in the pod. */
  at: string;
}

/** Of a claim, everything but what stays in any case. Shell words: a constant script, then the directory. */
const REST = `find "$1" -mindepth 1 -maxdepth 1 ! -name lost+found ! -name '*.before-[0-9]*Z'`;

/** Moves what a claim holds into a dated directory in it; fails when something stays. */
const ASIDE = `mkdir -m 700 -- "$2" && ${REST} -exec mv -- {} "$2/" \\; && [ -z "$(${REST})" ]`;

/** Moves what was restored of one directory up into the claim, which gets that directory's owner, mode and time. */
const SETTLE = `set -e
touch -r "$2" "$4/like"
find "$2" -mindepth 1 -maxdepth 1 -exec mv -- {} "$1/" \\;
[ -z "$(ls -A "$2")" ]
cp -a -T -- "$2" "$1" 2>/dev/null || { chown "$(stat -c %u:%g "$2")" "$1"; chmod "$(stat -c %a "$2")" "$1"; }
rm -rf -- "$3" "$1/${INCOMPLETE}"
touch -r "$4/like" "$1"`;

/** No path has two slashes in a row: so begins an entry, whatever is in a name. The last line says that nothing was cut off. */
const SEEN = `find "$1" -exec stat -c '//%u/%g/%s/%f/%n' {} + && echo //end`;

const sh = async (site: Site, script: string, ...words: string[]): Promise<string> =>
  (await site.text({ file: 'sh', args: ['-c', script, 'sh', ...words] })).stdout;

/** @throws BkpError('usage') */
function nameOf(ctx: Context, to: string): { claims: Claims; claim: string } {
  const [, namespace, claim] = /^claim:([a-z0-9][a-z0-9-]*)\/([a-z0-9][a-z0-9.-]*)$/.exec(to) ?? [];
  if (namespace === undefined || claim === undefined)
    throw new BkpError('usage', `"${to}" names no claim`, { next: '--to claim:NAMESPACE/NAME' });
  const { claims } = ctx.config;
  if (claims) return { claims: { ...claims, namespace }, claim };
  throw new BkpError('usage', `${who(ctx)} is no entry with \`claims:\`, so nothing says by which image a Job restores into one`, {
    next: 'restore into a directory: --to DIR',
  });
}

/** Who is to be stopped, as kubectl names it. */
function ownerOf({ metadata: { name, ownerReferences = [] } }: Pod): string {
  const [owner] = ownerReferences;
  if (owner?.kind === 'StatefulSet') return `statefulset/${owner.name}`;
  if (owner?.kind === 'ReplicaSet') return `deployment/${owner.name.replace(/-[^-]+$/, '')}`;
  return owner ? `${owner.kind.toLowerCase()}/${owner.name}` : `pod/${name}`;
}

/** Two that write into one directory destroy it. `mine` marks the pod of our own Job. Throws BkpError('refused'). */
async function refuseUsed(ctx: Context, claims: Claims, claim: string, mine?: Id): Promise<void> {
  const users = usersOf(claim, await listOf<Pod>(ctx, claims, 'pods')).filter(
    ({ metadata }) => mine === undefined || metadata.labels?.['bkp-id'] !== mine,
  );
  if (users.length === 0) return;
  const owners = [...new Set(users.map(ownerOf))];
  throw new BkpError('refused', `claim ${claims.namespace}/${claim} is used by pod ${users.map(pod => pod.metadata.name).join(', ')}`, {
    next: owners.map(owner =>
      owner.startsWith('pod/')
        ? `kubectl --namespace ${claims.namespace} delete ${owner}`
        : `kubectl --namespace ${claims.namespace} scale --replicas=0 ${owner}, and back afterwards`,
    ),
  });
}

/** One that waits for its first consumer has no volume yet, and gets it by the Job. Throws BkpError('notFound' | 'refused'). */
async function refuseUnfit(ctx: Context, claims: Claims, name: string): Promise<void> {
  const all = await listOf<Claim>(ctx, claims, 'persistentvolumeclaims');
  const claim = all.find(({ metadata }) => metadata.name === name);
  if (!claim)
    throw new BkpError('notFound', `namespace ${claims.namespace} has no claim ${name}`, {
      next: `make it first; there are: ${all.map(({ metadata }) => metadata.name).join(', ') || 'none'}`,
    });
  const why =
    claim.spec.volumeMode === 'Block' ? 'a block device, which has no files' : claim.status?.phase === 'Lost' ? 'lost' : undefined;
  if (why) throw new BkpError('refused', `claim ${claims.namespace}/${name} is ${why}`);
}

async function planned(ctx: Context, request: RestoreRequest, known: readonly Known[]): Promise<Plan> {
  const { claims, claim } = nameOf(ctx, request.to);
  const options = request.options ?? {};
  const chosen = chooseBackup(known, request.want, who(ctx), ctx.clock.now());
  const { manifest } = chosen;
  const parts = partsOf(manifest);
  const at = pathOf(claims.namespace, claim);
  const own = parts.some(({ paths }) => paths.includes(at)) ? at : undefined;
  const [path, ...more] = pathsOf(manifest, parts, text(options, 'path') ?? own);
  if (path === undefined) throw new BkpError('refused', `backup ${manifest.id} is of engine ${manifest.engine}: restic has nothing of it`);
  if (more.length > 0)
    throw new BkpError('usage', `backup ${manifest.id} has several claims, and none of this name: one comes back into ${request.to}`, {
      next: `--path with one of: ${[path, ...more].join(', ')}`,
    });
  passwordOf(ctx);
  await refuseOld(ctx);
  await refuseUnfit(ctx, claims, claim);
  await refuseUsed(ctx, claims, claim);
  const wanted = parts.filter(({ paths }) => paths.includes(path));
  const stores = ctx.stores.filter(store => accessOf(ctx, store).kind !== 'directory');
  if (stores.length === 0)
    throw new BkpError('usage', `a pod reaches no directory of this host, and ${who(ctx)} has no other store`, { next: '--to DIR' });
  const elsewhere = (tried: readonly string[]) => chooseStore({ ...ctx, stores }, chosen, wanted, tried);
  const include = includeOf([path], wanted[0]!.paths.length === 1, options);
  return { manifest, ...(await elsewhere([])), elsewhere, path, include, claims, claim, at };
}

function told(ctx: Context, { to, force }: RestoreRequest, { manifest, store, path, include }: Plan): string[] {
  const age = formatAge(new Date(manifest.recoveryPointAt), ctx.clock.now());
  return [
    `${who(ctx)} of ${ctx.env}: backup ${manifest.id} of ${manifest.recoveryPointAt} (${age}), out of store ${store.name}`,
    `${include.length > 0 ? include.join(', ') : path} → ${to}, by a Job that mounts it`,
    ...(force ? ['what it holds is moved into a dated directory in it'] : []),
  ];
}

/** What the claim holds, and the room that it has. Throws BkpError('refused'). */
async function refuseHeld(site: Site, { manifest, at, include }: Plan, { to, force }: RestoreRequest): Promise<boolean> {
  const held = (await site.names(at)).filter(name => name !== 'lost+found');
  if (held.length > 0 && !force)
    throw new BkpError('refused', `${to} is not empty (${held.slice(0, 3).join(', ')}${held.length > 3 ? ', …' : ''})`, {
      next: '--force moves what is there into a dated directory in it and removes nothing',
    });
  const free = Number((await sh(site, 'df -Pk "$1"', at)).trim().split('\n').at(-1)?.split(/\s+/)[3]) * 1024;
  const { bytes } = baselineOf(manifest);
  // Of several claims only the sum is known.
  if (include.length === 0 && partsOf(manifest).length === 1 && free < bytes)
    throw new BkpError('refused', `${to} has ${formatBytes(free)} free, and the files have ${formatBytes(bytes)}`, {
      next: 'make a larger claim, or restore a part by --include',
    });
  return held.length > 0;
}

/** Everything under a directory of the pod, by its path. Throws BkpError('failed') when the end was cut off. */
async function seenIn(site: Site, dir: string): Promise<Map<string, Seen[]>> {
  const entries = `\n${await sh(site, SEEN, dir)}`.split('\n//').slice(1);
  if (entries.pop()?.trim() !== 'end')
    throw new BkpError('failed', `the list of files in ${site.name} was cut off`, { next: 'run it again' });
  const found = new Map<string, Seen[]>();
  for (const entry of entries) {
    const [, uid, gid, size, raw, path = ''] = /^(\d+)\/(\d+)\/(\d+)\/([0-9a-f]+)\/(.*)$/s.exec(entry) ?? [];
    const mode = Number.parseInt(raw ?? '0', 16);
    const seen = { isFile: () => (mode & 0o170000) === 0o100000, size: Number(size), uid: Number(uid), gid: Number(gid), mode };
    found.set(shown(path), [...(found.get(shown(path)) ?? []), seen]);
  }
  return found;
}

async function compared(ctx: Context, site: Site, plan: Plan, stage: string): Promise<Difference> {
  const { manifest, store, snapshots, path, include } = plan;
  const seen = await seenIn(site, stage);
  const place = (each: string): string | undefined => (each === path || each.startsWith(`${path}/`) ? `${stage}${each}` : undefined);
  const look = async (each: string): Promise<Seen[]> => seen.get(shown(each)) ?? [];
  const found = unstaged(await compare(ctx, store, snapshots[0]!, place, include.length > 0, look), stage);
  if (found.files === 0) throw new BkpError('notFound', `backup ${manifest.id} has no file that is like ${include.join(', ')}`);
  if (found.wrong > 0)
    throw new BkpError('verifyFailed', `${found.wrong} file(s) did not come back as they were backed up: ${found.examples.join('; ')}`, {
      next: 'bkp verify volumes --deep',
    });
  return found;
}

/** Out of one store, beside what is in the claim. @returns what came back, and the directory in the pod for what restic is told there */
async function bringOut(ctx: Context, site: Site, plan: Plan, stage: string): Promise<{ found: Difference; dir: string }> {
  const { manifest, store, snapshots, include, at } = plan;
  const dir = await roomIn(ctx, site, store);
  await sh(site, `mkdir -m 700 -- "$2" && : > "$1/${INCOMPLETE}"`, at, stage);
  const patterns = include.flatMap(pattern => ['--include', pattern]);
  const args = ['restore', '--no-lock', ...patterns, '--target', stage, snapshots[0]!];
  const ended = await resticIn(site, store, dir)(ctx, { repository: '', env: {}, args: [] }, args);
  refuseFailed(ctx, store, `restore of backup ${manifest.id}`, ended);
  return { found: await compared(ctx, site, plan, stage), dir };
}

/** Takes everything of the restore away again, and tells how the claim is left. */
async function emptied(ctx: Context, again: () => Promise<Site>, { claims, claim, at }: Plan): Promise<void> {
  const name = `claim ${claims.namespace}/${claim}`;
  let cleaner: Site | undefined;
  try {
    cleaner = await again();
    // restic may be ending still.
    await sh(cleaner, `${REST} -exec rm -rf -- {} +; sleep 1; ${REST} -exec rm -rf -- {} +; [ -z "$(${REST})" ]`, at);
    ctx.report.emit({ type: 'warning', text: `${name} is empty: nothing of the restore is left in it` });
  } catch (reason) {
    ctx.report.emit({ type: 'warning', text: `${name} stays half filled: ${sentence(reason)}` });
  } finally {
    await cleaner?.close();
  }
}

/** Fills a claim that is empty by now; what of it failed is taken away again. */
async function fill(ctx: Context, site: Site, again: () => Promise<Site>, plan: Plan): Promise<{ found: Difference; store: Store }> {
  const { path, at } = plan;
  const stage = `${at}/.bkp-restore-${randomBytes(4).toString('hex')}`;
  const clear = async (): Promise<void> => void (await sh(site, 'rm -rf -- "$1"', stage));
  try {
    const use = (from: Choice) => bringOut(ctx, site, { ...plan, ...from }, stage);
    const { found, store, dir } = await fromAny(ctx, plan, plan.elsewhere, use, clear);
    await sh(site, SETTLE, at, `${stage}${path}`, stage, dir);
    return { found, store };
  } catch (error) {
    await emptied(ctx, again, plan);
    throw error;
  }
}

/** Moves what a claim holds aside in it. @returns what it is in words, to be told however the rest goes */
async function moveAside(ctx: Context, site: Site, { claims, claim, at }: Plan, aside: string): Promise<string[]> {
  try {
    await sh(site, ASIDE, at, `${at}/${aside}`);
  } catch (error) {
    const text = `claim ${claims.namespace}/${claim}: what it held is in it still, a part of it maybe in ${aside} by now`;
    ctx.report.emit({ type: 'warning', text });
    throw error;
  }
  return [`what was there before is in ${aside} of the claim`];
}

async function perform(ctx: Context, request: RestoreRequest, plan: Plan): Promise<Reached> {
  const { manifest, claims, claim, at } = plan;
  return inJob(ctx, claims, { name: claim, written: true }, manifest.id, async (site, again) => {
    // One may have been started meanwhile.
    await refuseUsed(ctx, claims, claim, manifest.id);
    const aside = (await refuseHeld(site, plan, request)) ? basename(asidePath(at, ctx.clock.now())) : undefined;
    const before = aside === undefined ? [] : await moveAside(ctx, site, plan, aside);
    const { found, store } = await fill(ctx, site, again, plan).catch(error => {
      for (const line of before) ctx.report.emit({ type: 'warning', text: line });
      throw error;
    });
    if (found.owners > 0)
      throw new BkpError(
        'partial',
        `the files are in ${request.to}, and ${found.owners} of them have another owner or mode than in the backup: ${found.examples.join('; ')}`,
        { next: ['does its storage let root give files to others?', ...before] },
      );
    return {
      at: new Date(manifest.recoveryPointAt),
      facts: {
        backup: manifest.id,
        store: store.name,
        files: found.files,
        bytes: found.bytes,
        ...(aside === undefined ? {} : { movedAside: aside }),
      },
      next: [...before, 'start what uses the claim: it was left alone'],
    };
  });
}

/**
 * Into a persistent volume claim that no pod uses, by a short Job that mounts it. After a failure that is not 'partial' nothing of the
 * restore stays behind.
 */
export const intoClaim: Way<Plan> = { planned, told, perform };
