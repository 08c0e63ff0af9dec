import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatAge } from '../../../core/age.ts';
import { chooseBackup } from '../../../core/choose.ts';
import type { Bytes, Id, Known, PieceRef, Reached, RestoreRequest, Store } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { pasted } from '../../../core/shell.ts';
import { formatBytes } from '../../../core/size.ts';
import { assertOpens } from '../../../flow/age.ts';
import { complete, INCOMPLETE, type Owner, occupy, ownAll, refuseClosed, refuseFull as refuseFullPlace } from '../../../flow/place.ts';
import { type Context, called } from './config.ts';
import { clusterReset } from './k3s/reset.ts';
import { checkState } from './k3s/sqlite.ts';
import { refuseMember } from './member.ts';
import { bring, type Contents, contentsOf, type Here, type ReadPiece, refuseMissing } from './pieces.ts';
import { inspectPlace, ownerOf, writeSecret } from './place.ts';
import { FULL } from './status.ts';
import { type Offline, offline, parseVersion } from './tools.ts';
import { BUMP, type Member, refuseFull, restoredBytes, restoreSnapshot } from './trial.ts';
import { unpackConfig } from './unpackConfig.ts';

/** Membership out of the options of `bkp restore`; a name with its peer URL is a cluster of one. */
export function memberOf(options: RestoreRequest['options'] = {}): Member {
  const text = (name: string): string | undefined => (typeof options[name] === 'string' ? options[name] : undefined);
  const [name, peers, token] = [text('name'), text('initial-advertise-peer-urls'), text('initial-cluster-token')];
  const url = peers ?? 'http://localhost:2380';
  const alone =
    name || peers
      ? url
          .split(',')
          .map(each => `${name ?? 'default'}=${each}`)
          .join(',')
      : undefined;
  const cluster = text('initial-cluster') ?? alone;
  return {
    ...(name ? { name } : {}),
    ...(cluster ? { initialCluster: cluster } : {}),
    ...(token ? { initialClusterToken: token } : {}),
    ...(peers ? { initialAdvertisePeerUrls: peers } : {}),
  };
}

/** The version of etcd that wrote a backup: of the snapshot itself, else of the server. */
export const writtenBy = ({ manifest, k3s }: Contents): number[] =>
  parseVersion((manifest.baseline['version'] as string | undefined) ?? (k3s ? undefined : manifest.versions['server']));

/** What a person should know of the backup before saying yes. */
export function describe(ctx: Context, { manifest, data, sqlite }: Contents): string[] {
  const { revision, keys, token } = manifest.baseline as { revision?: number; keys?: number; token?: string };
  return [
    `backup ${manifest.id} of ${manifest.recoveryPointAt} (${formatAge(new Date(manifest.recoveryPointAt), ctx.clock.now())}), ${manifest.versions['server']}`,
    `${sqlite ? 'SQLite' : 'etcd'}, ${formatBytes(data.bytes)}, revision ${revision}${keys === undefined ? '' : `, ${keys} keys`}${token ? `, server token ${token}` : ''}`,
  ];
}

const raised = (tool: Offline): string =>
  tool.bumps
    ? `revisions go on ${BUMP} higher, and what is older is marked compacted: watchers and caches of the lost cluster begin anew`
    : `${tool.file} ${tool.version.join('.')} cannot raise revisions: restart everything that watches this etcd, or it goes on with what is no longer so`;

/** Where the data directory of a backup goes within the place: K3s's comes with token and configuration beside it. */
const dataIn = ({ k3s }: Contents, to: string): string => (k3s ? join(to, 'etcd') : to);

/** etcdutl wants to make the directory itself, and ours is there and marked, so its content moves up. */
async function putData(ctx: Context, contents: Contents, tool: Offline, here: Here, to: string, member: Member): Promise<void> {
  const into = join(to, '.restored');
  await restoreSnapshot(ctx, tool, here.file, into, member);
  const data = dataIn(contents, to);
  await mkdir(data, { recursive: true, mode: 0o700 });
  for (const name of await readdir(into)) await rename(join(into, name), join(data, name));
  await rm(into, { recursive: true });
}

async function put(ctx: Context, contents: Contents, tool: Offline | undefined, here: Here, to: string, member: Member): Promise<void> {
  if (tool) await putData(ctx, contents, tool, here, to, member);
  else await copyFile(here.file, join(to, 'state.db'));
  if (here.token) await writeSecret(join(to, 'token'), here.token);
  if (!here.config) return;
  await mkdir(join(to, 'config'), { mode: 0o700 });
  await unpackConfig(ctx, here.config, join(to, 'config'));
}

function nextSteps(ctx: Context, contents: Contents, to: string, member: Member, owner: Owner | undefined): string[] {
  if (contents.k3s)
    return [
      `the whole procedure on a server node: bkp restore etcd ${ctx.name} --from-backup ${contents.manifest.id} --online`,
      `the server token is in ${join(to, 'token')}, configuration and keys in ${join(to, 'config')}`,
    ];
  const as = owner && owner.uid !== 0 ? `setpriv --reuid=${owner.uid} --regid=${owner.gid} --clear-groups ` : '';
  const peers = member.initialAdvertisePeerUrls ?? 'http://localhost:2380';
  const flags = [
    `--name ${pasted(member.name ?? 'default')}`,
    `--data-dir ${pasted(to)}`,
    `--initial-advertise-peer-urls ${peers}`,
    `--listen-peer-urls ${peers}`,
  ];
  return [
    `${as}etcd ${flags.join(' ')} …   # with its own client URLs and certificates`,
    ...(contents.manifest.baseline['full'] === true
      ? [`it was above its quota (${FULL}): start it with a larger --quota-backend-bytes, then etcdctl defrag and etcdctl alarm disarm`]
      : []),
    'a cluster of several: restore the same backup on each member with its own --name, and start all of them',
    `bkp backup etcd ${ctx.name} --new-lineage   # once it runs: it has another cluster id now`,
  ];
}

interface Plan {
  contents: Contents;
  tool: Offline | undefined;
  member: Member;
  read: ReadPiece;
}

async function toDirectory(ctx: Context, request: RestoreRequest, plan: Plan, begin: () => Promise<void>): Promise<Reached | undefined> {
  const { contents, tool, member } = plan;
  const aside = await inspectPlace(ctx, request.to, request.force);
  const owner = await ownerOf(ctx, request);
  await refuseClosed(request.to, owner);
  await refuseFullPlace(request.to, tool ? restoredBytes(contents.data.bytes) : contents.data.bytes, '--to');
  const lines = [
    `${called(ctx)} of ${ctx.env} → ${request.to}${owner ? ` (owner uid ${owner.uid})` : ''}`,
    ...describe(ctx, contents),
    ...(tool ? [raised(tool)] : []),
    ...(aside ? [`what is in ${request.to} now is moved aside, not removed`] : []),
  ];
  if (request.dryRun) {
    for (const text of lines) ctx.report.emit({ type: 'note', text });
    return undefined;
  }
  await request.confirm(lines);
  await begin();
  const here = await bring(ctx, contents, await ctx.scratch(), plan.read);
  if (contents.sqlite) await checkState(ctx, here.file);
  const moved = await occupy(ctx, request.to, aside, owner);
  try {
    await put(ctx, contents, tool, here, request.to, member);
    await ownAll(request.to, owner);
    await complete(request.to);
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    const next = [...error.next, `${request.to} is incomplete (${INCOMPLETE}); --force moves it aside`];
    throw new BkpError(error.exit, error.message, { next, cause: error });
  }
  return {
    at: new Date(contents.manifest.recoveryPointAt),
    facts: { backup: contents.manifest.id, dataDir: request.to, ...contents.manifest.baseline, ...(moved ? { movedAside: moved } : {}) },
    next: [...(moved ? [`what was there before is in ${moved}`] : []), ...nextSteps(ctx, contents, request.to, member, owner)],
  };
}

/**
 * Brings a backup back: into a fresh directory, or with `online` into the K3s of the entry by a cluster reset.
 * @returns undefined after a dry run
 * @throws BkpError('refused' | 'notFound' | 'usage' | 'verifyFailed') before anything changes; later errors say what stands where
 */
export async function restore(
  ctx: Context,
  request: RestoreRequest,
  known: readonly Known[],
  read: (piece: PieceRef, from: readonly Store[]) => Bytes,
  begin: (id: Id) => Promise<void> = async () => {},
): Promise<Reached | undefined> {
  const member = memberOf(request.options);
  refuseMember(member);
  const chosen = chooseBackup(known, request.want, called(ctx), ctx.clock.now());
  const contents = contentsOf(chosen.manifest);
  if (contents.sqlite && Object.keys(member).length > 0)
    throw new BkpError('usage', `backup ${contents.manifest.id} is of SQLite, to which a name and members say nothing`);
  await refuseMissing(ctx.stores, contents);
  if (contents.manifest.line.includes('age')) await assertOpens(ctx.keys.identity(), contents.manifest.recipients);
  const holders = ctx.stores.filter(store => chosen.stores.includes(store.name));
  const plan: Plan = {
    contents,
    tool: contents.sqlite ? undefined : await offline(ctx, writtenBy(contents)),
    member,
    read: piece => read(piece, holders),
  };
  await refuseFull(ctx, await ctx.scratch(), contents.data.bytes, 'the backup on its way');
  const start = () => begin(contents.manifest.id);
  return request.online ? clusterReset(ctx, request, plan, start) : toDirectory(ctx, request, plan, start);
}
