import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatAge } from '../../../../core/age.ts';
import { chooseBackup } from '../../../../core/choose.ts';
import type { Id, Known, Manifest, Reached, RestoreRequest, Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { formatBytes } from '../../../../core/size.ts';
import { asidePath, exists, inspect, occupy, refuseFull, refuseOurs } from '../../../../flow/place.ts';
import { baselineOf, partsOf } from './baseline.ts';
import { type Choice, chooseStore, fromAny, includeOf, pathsOf, text } from './choice.ts';
import { intoClaim, isClaim } from './claimRestore.ts';
import { added, compare, type Difference, SAME, unstaged } from './compare.ts';
import { type Context, passwordOf, who } from './context.ts';
import { pictureOf } from './picture.ts';
import { refuseOld } from './program.ts';
import { clear, contentsAside, holdsMount, settle, settleAll } from './settle.ts';
import { unpack } from './unpack.ts';
import { goneBy } from './way.ts';

/** Directories and what restic keeps for each file take some room beside the files. */
const BESIDE = 1.02;

/** What is to be restored, and out of which store. */
interface Plan extends Choice {
  manifest: Manifest;
  /** Another store that has it, where those that were tried did not give it. Throws BkpError when there is none. */
  elsewhere(tried: readonly string[]): Promise<Choice>;
  /** Paths whose files are wanted; of a single one the contents lie in the directory itself. */
  paths: readonly string[];
  include: readonly string[];
  mount: boolean;
  aside: boolean;
}

async function planned(ctx: Context, request: RestoreRequest, known: readonly Known[]): Promise<Plan> {
  const options = request.options ?? {};
  const chosen = chooseBackup(known, request.want, who(ctx), ctx.clock.now());
  const { manifest } = chosen;
  const parts = partsOf(manifest);
  if (parts.length === 0) throw new BkpError('refused', `backup ${manifest.id} is of engine ${manifest.engine}: restic has nothing of it`);
  passwordOf(ctx);
  await refuseOld(ctx);
  const paths = pathsOf(manifest, parts, text(options, 'path'));
  const wanted = parts.filter(part => part.paths.some(path => paths.includes(path)));
  const whole = text(options, 'path') === undefined || (wanted.length === 1 && wanted[0]!.paths.length === 1);
  await refuseOurs(ctx.stores, request.to);
  const aside = await inspect(request.to, request.force, async () => undefined);
  const include = includeOf(paths, whole, options);
  if (include.length === 0) {
    const { allocated, bytes } = baselineOf(manifest);
    await refuseFull(request.to, Math.ceil((allocated ?? bytes) * BESIDE), '--to');
  }
  const elsewhere = (tried: readonly string[]) => chooseStore(ctx, chosen, wanted, tried);
  return { manifest, ...(await elsewhere([])), elsewhere, paths, include, mount: await holdsMount(request.to), aside };
}

function told(ctx: Context, request: RestoreRequest, { manifest, store, paths, include, mount, aside }: Plan): string[] {
  const now = ctx.clock.now();
  const { files, bytes } = baselineOf(manifest);
  const what = include.length > 0 ? include.join(', ') : `${paths.join(', ')}: ${files} file(s), ${formatBytes(bytes)}`;
  const moved = mount ? 'what it holds is moved into a dated directory in it' : `what is there is moved to ${asidePath(request.to, now)}`;
  return [
    `${who(ctx)} of ${ctx.env}: backup ${manifest.id} of ${manifest.recoveryPointAt} (${formatAge(new Date(manifest.recoveryPointAt), now)}), out of store ${store.name}`,
    `${what} → ${request.to}${paths.length > 1 ? ', each under its whole path' : ''}`,
    ...(mount ? [`${request.to} is a mount point: its contents are restored`] : []),
    ...(aside ? [moved] : []),
  ];
}

/** Whether all of a backup is under a directory as it was, by one walk; undefined where that does not tell. */
async function likeness(ctx: Context, manifest: Manifest, stage: string): Promise<Difference | undefined> {
  const { picture } = baselineOf(manifest);
  if (picture === undefined) return undefined;
  const paths = partsOf(manifest).flatMap(part => part.paths);
  const now = await pictureOf(ctx, { paths, root: stage, oneFileSystem: false });
  return now?.sum === picture ? { ...SAME, files: now.files, bytes: now.bytes } : undefined;
}

const holds = (dir: string, path: string): boolean => path === dir || path.startsWith(dir === '/' ? dir : `${dir}/`);

/** Whether a directory only leads to those that are backed up: root's, as a rule, and of another user where another user restores. */
const isAbove = (path: string, paths: readonly string[]): boolean =>
  paths.some(each => holds(path, each)) && !paths.some(each => holds(each, path));

/**
 * Restores snapshots into a directory, each file under its whole path, and compares all of them with what was backed up.
 * @throws BkpError('verifyFailed') for what is not what was backed up; 'notFound' when nothing of it was wanted
 */
export async function bringBack(
  ctx: Context,
  plan: Pick<Plan, 'manifest' | 'store' | 'snapshots' | 'include'>,
  stage: string,
): Promise<{ found: Difference; notes: string[] }> {
  const { manifest, store, snapshots, include } = plan;
  const { sparse } = baselineOf(manifest);
  const notes: string[] = [];
  for (const snapshot of snapshots) notes.push(...(await unpack(ctx, { store, backup: manifest.id, snapshot, include, sparse }, stage)));
  const partial = include.length > 0;
  const paths = partsOf(manifest).flatMap(part => part.paths);
  const at = (path: string): string | undefined => (isAbove(path, paths) ? undefined : join(stage, path));
  let found = partial ? undefined : await likeness(ctx, manifest, stage);
  if (!found)
    for (const snapshot of snapshots) found = added(found ?? SAME, unstaged(await compare(ctx, store, snapshot, at, partial), stage));
  if (!found?.files) throw new BkpError('notFound', `backup ${manifest.id} has no file that is like ${include.join(', ')}`);
  if (found.wrong > 0)
    throw new BkpError('verifyFailed', `${found.wrong} file(s) did not come back as they were backed up: ${found.examples.join('; ')}`, {
      next: 'bkp verify volumes --deep',
    });
  return { found, notes };
}

/** Brings it into a directory out of the first store that gives it; nothing of those before stays. */
const bringFromAny = (ctx: Context, plan: Plan, stage: string): Promise<Awaited<ReturnType<typeof bringBack>> & { store: Store }> =>
  fromAny(
    ctx,
    plan,
    plan.elsewhere,
    async from => {
      await mkdir(stage, { mode: 0o700 });
      return bringBack(ctx, { ...plan, ...from }, stage);
    },
    () => rm(stage, { recursive: true, force: true }),
  );

/** What differs, at the paths where it lies in the end: of one directory the contents lie in the place itself. */
const placed = ({ examples }: Difference, paths: readonly string[], to: string): string => {
  const [only] = paths.length === 1 ? paths : [''];
  return examples.map(text => (text.startsWith(only!) ? `${to}${text.slice(only!.length)}` : text)).join('; ');
};

async function perform(ctx: Context, request: RestoreRequest, plan: Plan): Promise<Reached> {
  const { to } = request;
  const { manifest } = plan;
  const inPlace = plan.mount && plan.aside;
  const wasThere = (await exists(to)) && (plan.mount || !plan.aside);
  const moved = inPlace ? await contentsAside(ctx, to) : await occupy(ctx, to, plan.aside, undefined);
  if (inPlace) await occupy(ctx, to, false, undefined);
  const before = moved ? [`what was there before is in ${moved}`] : [];
  const stage = join(to, `.bkp-restore-${randomBytes(4).toString('hex')}`);
  let back: Awaited<ReturnType<typeof bringFromAny>>;
  try {
    back = await bringFromAny(ctx, plan, stage);
    if (plan.paths.length === 1) await settle(ctx, stage, plan.paths[0]!, to);
    else await settleAll(stage, to);
  } catch (error) {
    await clear(to, moved, wasThere).catch(reason =>
      ctx.report.emit({ type: 'warning', text: `${to} stays half filled: ${sentence(reason)}` }),
    );
    for (const line of before) ctx.report.emit({ type: 'warning', text: line });
    throw error;
  }
  const { found, notes, store } = back;
  for (const note of notes) ctx.report.emit({ type: 'warning', text: note });
  if (found.owners > 0)
    throw new BkpError(
      'partial',
      `the files are in ${to}, and ${found.owners} of them have another owner or mode than in the backup: ${placed(found, plan.paths, to)}`,
      { next: ['only root gives files to others: run it as root, onto a file system that lets it', ...before] },
    );
  return {
    at: new Date(manifest.recoveryPointAt),
    facts: { backup: manifest.id, store: store.name, files: found.files, bytes: found.bytes, ...(moved ? { movedAside: moved } : {}) },
    next: [...before, ...manifest.notCovered.map(each => `not in it: ${each}`)],
  };
}

/**
 * Brings files back into a directory, or into a claim of a cluster.
 * @returns undefined after a dry run
 * @throws BkpError('refused' | 'usage' | 'notFound') before anything changes; 'partial' when owners or modes are not what they were: the files
 *   stay; otherwise nothing of the restore stays behind
 */
export async function restore(
  ctx: Context,
  request: RestoreRequest,
  known: readonly Known[],
  begin: (id: Id) => Promise<void>,
): Promise<Reached | undefined> {
  if (isClaim(request.to)) return goneBy(intoClaim, ctx, request, known, begin);
  return goneBy({ planned, told, perform }, ctx, request, known, begin);
}
