import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes, Command, Reached, RestoreRequest, Site } from '../../../../core/contracts.ts';
import { parseDuration } from '../../../../core/duration.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { readAll } from '../../../../flow/bytes.ts';
import { openSite } from '../../../../flow/site/index.ts';
import { type Context, called } from '../config.ts';
import { bring, type Contents, type Here, type ReadPiece } from '../pieces.ts';
import { describe } from '../restore.ts';
import { bytesOf } from '../take.ts';
import type { Offline } from '../tools.ts';
import { refuseFull, restoredBytes, restoreSnapshot } from '../trial.ts';
import { type Asleep, putToSleep } from './asleep.ts';
import { k3sProgram } from './command.ts';
import { refuseUnfit } from './settings.ts';
import { checkState } from './sqlite.ts';
import { fingerprint, tokenPath } from './token.ts';

interface Plan {
  contents: Contents;
  tool: Offline | undefined;
  read: ReadPiece;
}

/** Where K3s uploads snapshots by itself, it takes the path of one for its name in that bucket. */
const NO_S3 = '--etcd-s3=false';

/** Paths of the programs on the node. */
interface Programs {
  k3s: string;
  systemctl: string;
}

/** Paths of one reset, all on the node. */
interface Paths {
  db: string;
  snapshot: string;
  journal: string;
  wake: string;
  stamp: string;
}

function pathsOf(ctx: Context, id: string): Paths {
  const server = `${ctx.config.k3s.dataDir}/server`;
  const stamp = ctx.clock
    .now()
    .toISOString()
    .replace(/[-:]|\.\d+/g, '');
  const mine = `${server}/bkp-restore-${stamp}`;
  return { db: `${server}/db`, snapshot: `${mine}-${id}.db`, journal: `${mine}.json`, wake: `${mine}-wake.sh`, stamp };
}

async function* once(bytes: Buffer): Bytes {
  yield bytes;
}

/** The words for the person; the steps below do the same. */
function procedure(ctx: Context, { contents }: Plan, paths: Paths, site: Site): string[] {
  const { unit, dataDir } = ctx.config.k3s;
  const data = contents.sqlite ? 'state.db' : 'etcd';
  const reset = contents.sqlite
    ? [`state.db of the backup is placed in ${paths.db}`]
    : [
        `the snapshot is placed as ${paths.snapshot}`,
        `k3s server --cluster-reset ${NO_S3} --cluster-reset-restore-path=${paths.snapshot}   # the token by K3S_TOKEN, not by an argument`,
      ];
  return [
    `${called(ctx)} of ${ctx.env} → the K3s of ${site.name} (${dataDir}); what it holds now is moved aside, never removed`,
    ...describe(ctx, contents),
    `1. systemctl stop ${unit}`,
    `2. ${paths.db}/${data} becomes ${paths.db}/${data}.before-${paths.stamp}, and another server token than that of the backup is moved aside too`,
    `3. ${reset.join('; ')}`,
    '4. K3s is started without its agent (--disable-agent); CronJobs and Jobs are suspended, Deployments and StatefulSets scaled to 0, Nodes deleted',
    `   what was before stands in ${paths.journal}, and ${paths.wake} puts it back`,
    `5. then by hand: systemctl start ${unit} here; on every other server: systemctl stop ${unit}, move ${paths.db} aside, systemctl start ${unit}; then the agents`,
  ];
}

/** One reset on one node, with what has been done so far, for the sentence of a failure. */
class Reset {
  readonly done: string[] = [];
  readonly #ctx: Context;
  readonly #site: Site;

  constructor(ctx: Context, site: Site) {
    this.#ctx = ctx;
    this.#site = site;
  }

  /** What `lasting` runs ends with us: what a killed run left running would be in the way of the next. */
  run(command: Command, lasting = false): Promise<{ stdout: string; stderr: string }> {
    return this.#site.text(command, { timeoutMs: parseDuration(this.#ctx.config.k3s.resetTimeout), lasting });
  }

  async step(what: string, work: () => Promise<unknown>): Promise<void> {
    this.#ctx.report.emit({ type: 'started', what });
    await work();
    this.done.push(what);
  }

  /** Moves what is there to a dated name. @returns that name, or undefined when nothing is there */
  async aside(path: string, stamp: string): Promise<string | undefined> {
    if (!(await this.has(path))) return undefined;
    const to = `${path}.before-${stamp}`;
    await this.run({ file: 'mv', args: ['-n', '-T', '--', path, to] });
    if (await this.has(path)) throw new BkpError('failed', `${path} could not be moved to ${to}`);
    this.done.push(`${path} is now ${to}`);
    return to;
  }

  async has(path: string): Promise<boolean> {
    return (await this.#site.names(join(path, '..'))).includes(path.slice(path.lastIndexOf('/') + 1));
  }
}

/** Only where another token, or none, is there: K3s reads it at every start. */
async function placeToken(ctx: Context, site: Site, reset: Reset, token: Buffer, stamp: string): Promise<void> {
  const path = tokenPath(ctx);
  if (await reset.has(path)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of site.read(path)) chunks.push(chunk);
    if (fingerprint(Buffer.concat(chunks)) === fingerprint(token)) return;
  }
  await reset.aside(path, stamp);
  await site.write(path, once(token));
}

async function resetEtcd(ctx: Context, site: Site, reset: Reset, k3s: string, here: Here, paths: Paths): Promise<void> {
  const args = ['server', '--data-dir', ctx.config.k3s.dataDir, '--cluster-reset', NO_S3, `--cluster-reset-restore-path=${paths.snapshot}`];
  await reset.step(`snapshot in ${paths.snapshot}`, () => site.write(paths.snapshot, bytesOf(here.file)));
  await reset.step('k3s server --cluster-reset', async () => {
    await reset.run({ file: k3s, args, env: { K3S_TOKEN: here.token!.toString('utf8').trim() } }, true);
    if (!(await reset.has(`${paths.db}/etcd`)))
      throw new BkpError('failed', `k3s server --cluster-reset ended well, and ${paths.db}/etcd is not there`);
  });
  await site.remove(paths.snapshot);
}

async function perform(ctx: Context, site: Site, { k3s, systemctl }: Programs, plan: Plan, here: Here, paths: Paths): Promise<Asleep> {
  const reset = new Reset(ctx, site);
  const { unit, dataDir } = ctx.config.k3s;
  try {
    await reset.step(`systemctl stop ${unit}`, () => reset.run({ file: systemctl, args: ['stop', unit] }));
    await reset.run({ file: 'mkdir', args: ['-p', '-m', '700', paths.db] });
    const olds = plan.contents.sqlite ? ['state.db', 'state.db-wal', 'state.db-shm'] : ['etcd', 'reset-flag'];
    for (const name of olds) await reset.aside(`${paths.db}/${name}`, paths.stamp);
    await placeToken(ctx, site, reset, here.token!, paths.stamp);
    if (plan.contents.sqlite) await reset.step(`state.db in ${paths.db}`, () => site.write(`${paths.db}/state.db`, bytesOf(here.file)));
    else await resetEtcd(ctx, site, reset, k3s, here, paths);
    const server = {
      file: k3s,
      args: ['server', '--data-dir', dataDir, '--disable-agent'],
      env: { K3S_TOKEN: here.token!.toString('utf8').trim() },
    };
    return await putToSleep(ctx, site, k3s, server, paths);
  } catch (error) {
    throw new BkpError(
      error instanceof BkpError ? error.exit : 'failed',
      `${called(ctx)}: the cluster reset did not end: ${sentence(error)}`,
      {
        next: [
          ...(error instanceof BkpError ? error.next : []),
          ...reset.done.map(text => `done so far: ${text}`),
          `back to what was: move the .before-${paths.stamp} names back, systemctl start ${unit}`,
        ],
        cause: error,
      },
    );
  }
}

/** Whether the K3s there runs: what it holds now can be backed up first. */
async function isUp(ctx: Context, site: Site, { systemctl }: Programs): Promise<boolean> {
  return site.text({ file: systemctl, args: ['is-active', ctx.config.k3s.unit] }).then(
    () => true,
    () => false,
  );
}

/** Everything of the backup is here and restores before K3s is stopped. */
async function prepared(ctx: Context, plan: Plan): Promise<Here> {
  const dir = await ctx.scratch();
  const here = await bring(ctx, plan.contents, dir, plan.read);
  if (!plan.tool) await checkState(ctx, here.file);
  else {
    await refuseFull(ctx, dir, restoredBytes(plan.contents.data.bytes), 'the trial restore');
    await restoreSnapshot(ctx, plan.tool, here.file, join(dir, 'trial'));
    await rm(join(dir, 'trial'), { recursive: true, force: true, maxRetries: 3 });
  }
  return here;
}

async function programs(ctx: Context, site: Site, { contents }: Plan): Promise<Programs> {
  if (!contents.k3s)
    throw new BkpError('usage', `backup ${contents.manifest.id} is of a plain etcd, which is restored into a directory`, {
      next: '--to DIR',
    });
  if (ctx.config.where !== 'local' && 'kubectl' in ctx.config.where)
    throw new BkpError('refused', 'K3s is stopped on the way, so bkp cannot reach it by kubectl', {
      next: 'run bkp on the server node, or `where: {ssh: …}`',
    });
  const systemctl = await site.which('systemctl', ctx.config.bin);
  if (!systemctl) throw new BkpError('failed', `systemctl is not on ${site.name}`, { next: 'run bkp on the server node itself' });
  const { stdout } = await site.text({
    file: 'sh',
    args: ['-c', 'd=$0; while [ ! -d "$d" ]; do d=$(dirname "$d"); done; df -Pk "$d"', ctx.config.k3s.dataDir],
  });
  const free = Number(stdout.trim().split('\n').at(-1)?.split(/\s+/)[3]) * 1024;
  const needed = contents.data.bytes + restoredBytes(contents.data.bytes);
  if (free < needed)
    throw new BkpError('refused', `${ctx.config.k3s.dataDir} on ${site.name} has ${free} bytes free, and the reset needs about ${needed}`, {
      next: 'free some space',
    });
  return { k3s: await k3sProgram(ctx, site), systemctl };
}

/**
 * Restores a K3s in place: stopped, its datastore moved aside, reset onto the backup, and left asleep.
 * @returns undefined after a dry run
 * @throws BkpError before anything changes; a later one names what was done and how to go back
 */
export async function clusterReset(
  ctx: Context,
  request: RestoreRequest,
  plan: Plan,
  begin: () => Promise<void>,
): Promise<Reached | undefined> {
  const site = await openSite(ctx, ctx.config.where);
  try {
    const tools = await programs(ctx, site, plan);
    await refuseUnfit(ctx, site, await readAll(plan.read(plan.contents.token!)));
    const paths = pathsOf(ctx, plan.contents.manifest.id);
    const lines = procedure(ctx, plan, paths, site);
    if (request.dryRun) {
      for (const text of lines) ctx.report.emit({ type: 'note', text });
      return undefined;
    }
    await request.confirm(lines);
    await begin();
    const here = await prepared(ctx, plan);
    const secured = (await isUp(ctx, site, tools)) ? await request.secure?.() : undefined;
    const asleep = await perform(ctx, site, tools, plan, here, paths);
    return {
      at: new Date(plan.contents.manifest.recoveryPointAt),
      facts: { backup: plan.contents.manifest.id, journal: paths.journal, wake: paths.wake, ...(secured ? { secured } : {}), ...asleep },
      next: [
        ...(secured ? [`what it held before is backup ${secured}`] : []),
        ...asleep.pinned.map(text => `volume ${text}: its node has to come back under the same name, or the volume is lost to its pods`),
        `systemctl start ${ctx.config.k3s.unit}   # on ${site.name}`,
        `on every other server: systemctl stop ${ctx.config.k3s.unit}; mv ${paths.db} ${paths.db}.before-${paths.stamp}; systemctl start ${ctx.config.k3s.unit}`,
        'on every agent: systemctl restart k3s-agent',
        `sh ${paths.wake}   # once the data of the workloads is back: it scales up and resumes what ran before`,
      ],
    };
  } finally {
    await site.close();
  }
}
