import { X509Certificate } from 'node:crypto';
import { tmpdir } from 'node:os';
import type { Check, Site } from '../../../core/contracts.ts';
import { parseDuration } from '../../../core/duration.ts';
import { sentence } from '../../../core/errors.ts';
import { formatBytes } from '../../../core/size.ts';
import { readAll } from '../../../flow/bytes.ts';
import { freeBytes } from '../../../flow/place.ts';
import { openSite } from '../../../flow/site/index.ts';
import { ask } from './client.ts';
import type { Context } from './config.ts';
import { isK3s } from './flavor.ts';
import { k3sChecks } from './k3s/doctor.ts';
import { type EndpointStatus, hasLeader, LEARNERS, NO_LEADER, ONE_CLUSTER, QUORUM, severalClusters, statusOf, VOTER } from './status.ts';
import { told } from './take.ts';
import { etcdctl, minor, offline, parseVersion, serverProgram } from './tools.ts';
import { restoredBytes } from './trial.ts';

const DAY = 86_400_000;
/** So long before its end a certificate is told of. */
const EXPIRES_SOON = 30 * DAY;
/** Above this share of its quota etcd is near the point where it takes no writes. */
const NEARLY_FULL = 0.8;

/** A certificate's end as a check. Pure. */
export function expiry(name: string, pem: Buffer, now: Date): Check {
  const until = new Date(new X509Certificate(pem).validTo);
  const days = Math.floor((until.getTime() - now.getTime()) / DAY);
  const text = `ends ${until.toISOString()} (${days} days)`;
  if (days < 0) return { name, state: 'fail', text, mend: 'make a new one' };
  return until.getTime() - now.getTime() < EXPIRES_SOON
    ? { name, state: 'warn', text, mend: 'make a new one soon' }
    : { name, state: 'ok', text };
}

async function* certificates(ctx: Context, site: Site): AsyncGenerator<Check> {
  for (const name of ['cacert', 'cert'] as const) {
    const path = ctx.config[name];
    if (!path) continue;
    try {
      yield expiry(name, await readAll(site.read(path)), ctx.clock.now());
    } catch (error) {
      yield { name, state: 'fail', text: `${path}: ${told(error)}`, mend: `${name}: PATH   # in etcd/${ctx.name}` };
    }
  }
}

function endpointCheck(status: EndpointStatus): Check {
  const { endpoint, version, dbSize, quota, errors, learner } = status;
  const name = `endpoint ${endpoint}`;
  const size = `etcd ${version}, ${formatBytes(dbSize)}${quota ? ` of ${formatBytes(quota)}` : ''}${learner ? ', a learner' : ''}`;
  if (!hasLeader(status)) return { name, state: 'fail', text: `${size}: ${errors.join(', ')}`, mend: QUORUM[0]! };
  if (errors.length > 0) return { name, state: 'fail', text: `${size}: ${errors.join(', ')}`, mend: 'etcdctl alarm list; etcdctl defrag' };
  if (quota && dbSize > quota * NEARLY_FULL)
    return { name, state: 'warn', text: `${size}: nearly full`, mend: 'etcdctl compact REV; etcdctl defrag' };
  return { name, state: 'ok', text: size };
}

/** Where auth is on, only the role root lists users, and only it takes snapshots. */
async function rights(ctx: Context, site: Site, program: string, endpoint: string): Promise<Check> {
  try {
    await ask(ctx, site, program, endpoint, ['user', 'list'], parseDuration(ctx.config.connectTimeout));
    return { name: 'rights', state: 'ok', text: ctx.config.user ? `${ctx.config.user} has the role root` : 'a snapshot may be taken' };
  } catch (error) {
    return { name: 'rights', state: 'fail', text: told(error), mend: 'etcdctl user grant-role USER root' };
  }
}

async function* etcdChecks(ctx: Context, site: Site): AsyncGenerator<Check, readonly EndpointStatus[]> {
  const good: EndpointStatus[] = [];
  let program: string;
  try {
    program = await etcdctl(ctx, site);
  } catch (error) {
    yield { name: 'etcdctl', state: 'fail', text: sentence(error), mend: 'apt-get install etcd-client' };
    return good;
  }
  for (const endpoint of ctx.config.endpoints) {
    try {
      const status = await statusOf(ctx, site, program, endpoint);
      good.push(status);
      yield endpointCheck(status);
    } catch (error) {
      const mend = (error as { next?: readonly string[] }).next?.[0];
      yield { name: `endpoint ${endpoint}`, state: 'fail', text: told(error), ...(mend ? { mend } : {}) };
    }
  }
  // A learner answers next to nothing (3.4 and 3.6).
  const voters = good.filter(({ learner }) => !learner);
  const mixed = severalClusters(voters);
  if (mixed) yield { name: 'cluster', state: 'fail', text: mixed, mend: ONE_CLUSTER };
  // Without a leader nothing is answered that has to be up to date.
  const led = voters.find(hasLeader);
  if (led) yield await rights(ctx, site, program, led.endpoint);
  else if (voters.length > 0) yield { name: 'rights', state: 'fail', text: NO_LEADER, mend: QUORUM[0]! };
  else if (good.length > 0) yield { name: 'rights', state: 'fail', text: LEARNERS, mend: VOTER };
  yield* certificates(ctx, site);
  return good;
}

/** The tools of this host that try and prove snapshots. */
async function* offlineChecks(ctx: Context, version: string | undefined): AsyncGenerator<Check> {
  try {
    const tool = await offline(ctx, parseVersion(version));
    const text = `${tool.file} ${tool.version.join('.')}`;
    yield tool.bumps
      ? { name: 'trial restore', state: 'ok', text }
      : {
          name: 'trial restore',
          state: 'warn',
          text: `${text} cannot raise revisions in a restore (3.6 can)`,
          mend: 'restart what watches this etcd after a restore',
        };
    const server = await serverProgram(ctx, tool);
    yield { name: 'proof', state: 'ok', text: `${server.file} ${minor(server.version)}` };
  } catch (error) {
    yield { name: 'trial restore', state: 'fail', text: told(error), mend: "install etcd's programs, or `bin: [DIR]` in the entry" };
  }
}

async function space(bytes: number): Promise<Check> {
  const [free, needed] = [await freeBytes(tmpdir()), bytes + restoredBytes(bytes)];
  const text = `${tmpdir()} has ${formatBytes(free)} free; a backup takes about ${formatBytes(needed)} on its way`;
  return free < needed
    ? { name: 'temporary space', state: 'fail', text, mend: '`temp:` in the config names a directory with more room' }
    : { name: 'temporary space', state: 'ok', text };
}

/** Every condition of backup and restore of one etcd, each with what mends it. */
export async function* doctor(ctx: Context): AsyncIterable<Check> {
  const site = await openSite(ctx, ctx.config.where);
  try {
    if (await isK3s(ctx, site)) {
      yield* k3sChecks(ctx, site);
      yield* offlineChecks(ctx, undefined);
      yield await space(0);
      return;
    }
    const good = yield* etcdChecks(ctx, site);
    yield* offlineChecks(ctx, good[0]?.version);
    yield await space(Math.max(0, ...good.map(({ dbSize }) => dbSize)));
  } finally {
    await site.close();
  }
}
