import type { Site } from '../../../core/contracts.ts';
import { parseDuration } from '../../../core/duration.ts';
import { BkpError } from '../../../core/errors.ts';
import { ask } from './client.ts';
import { type Context, called } from './config.ts';

/** The alarm of a cluster above its quota, which is data of the cluster: every snapshot holds it. */
export const FULL = 'NOSPACE';

/** Where nobody is there to take a snapshot from, and what to do. */
export const LEARNERS = 'every endpoint that answers is a learner, which gives no snapshot';
export const VOTER = '`endpoints:` of the entry has to name a voting member: etcdctl member list';

/** What a member says of itself while its cluster has no majority: what it holds may be of any age. */
const LEADERLESS = 'no leader';
export const NO_LEADER = 'no endpoint that answers has a leader: the cluster has lost its quorum, and what a member holds may be old';
export const QUORUM = [
  'start the members that are down: etcdctl endpoint status',
  'before a member is given up: etcdctl --endpoints=ENDPOINT snapshot save FILE keeps what it has',
];

/** An endpoint as it describes itself. Ids are decimal text: they are larger than JavaScript's whole numbers. */
export interface EndpointStatus {
  endpoint: string;
  clusterId: string;
  revision: number;
  version: string;
  /** Bytes of the database file, and of the quota where it is told (3.6). */
  dbSize: number;
  quota?: number;
  learner: boolean;
  /** What it complains of, such as `NOSPACE`. */
  errors: readonly string[];
}

interface Raw {
  Endpoint: string;
  Status: {
    header: { cluster_id: string; revision: number };
    version: string;
    dbSize: number;
    dbSizeQuota?: number;
    isLearner?: boolean;
    errors?: string[];
  };
}

/** Reads `endpoint status -w json` of etcdctl 3.4 to 3.6. */
export function readStatus(text: string): EndpointStatus[] {
  const exact = text.replace(/("(?:cluster_id|member_id|leader)":\s*)(\d+)/g, '$1"$2"');
  return (JSON.parse(exact) as Raw[]).map(({ Endpoint, Status }) => ({
    endpoint: Endpoint,
    clusterId: Status.header.cluster_id,
    revision: Status.header.revision,
    version: Status.version,
    dbSize: Status.dbSize,
    ...(Status.dbSizeQuota ? { quota: Status.dbSizeQuota } : {}),
    learner: Status.isLearner ?? false,
    errors: Status.errors ?? [],
  }));
}

/** Asks one endpoint. Throws BkpError('failed') with what it means. */
export async function statusOf(ctx: Context, site: Site, etcdctl: string, endpoint: string): Promise<EndpointStatus> {
  const ms = parseDuration(ctx.config.connectTimeout);
  const [status] = readStatus(await ask(ctx, site, etcdctl, endpoint, ['endpoint', 'status', '-w', 'json'], ms));
  if (status) return status;
  throw new BkpError('failed', `${endpoint} said nothing of its status`, { next: `etcdctl --endpoints=${endpoint} endpoint status` });
}

export const hasLeader = ({ errors }: EndpointStatus): boolean => !errors.some(text => text.includes(LEADERLESS));

/** In words, when endpoints are of several clusters: one of them would be taken for the other. Pure. */
export function severalClusters(found: readonly EndpointStatus[]): string | undefined {
  const ids = new Set(found.map(({ clusterId }) => clusterId));
  if (ids.size < 2) return undefined;
  return `the endpoints are of ${ids.size} clusters: ${found.map(({ endpoint, clusterId }) => `${endpoint} of ${clusterId}`).join(', ')}`;
}
export const ONE_CLUSTER =
  '`endpoints:` of the entry names members of one cluster; one that was restored by itself is another cluster than the rest';

/**
 * The endpoints that can give a snapshot, the one that knows most first.
 * @throws BkpError('refused') when they are of several clusters; the first failure when there is none
 */
export async function usable(ctx: Context, site: Site, etcdctl: string): Promise<[EndpointStatus, ...EndpointStatus[]]> {
  const answers = await Promise.allSettled(ctx.config.endpoints.map(endpoint => statusOf(ctx, site, etcdctl, endpoint)));
  ctx.signal.throwIfAborted();
  for (const answer of answers.filter(({ status }) => answers.some(each => each.status === 'fulfilled') && status === 'rejected'))
    ctx.report.emit({ type: 'warning', text: ((answer as PromiseRejectedResult).reason as Error).message });
  const voters = answers.flatMap(answer => (answer.status === 'fulfilled' && !answer.value.learner ? [answer.value] : []));
  const mixed = severalClusters(voters);
  if (mixed) throw new BkpError('refused', `${called(ctx)}: ${mixed}`, { next: ONE_CLUSTER });
  const [first, ...others] = voters.filter(hasLeader).sort((a, b) => b.revision - a.revision);
  if (first) return [first, ...others];
  if (voters.length > 0) throw new BkpError('failed', `${called(ctx)}: ${NO_LEADER}`, { next: QUORUM });
  const failed = answers.find(answer => answer.status === 'rejected');
  throw failed ? failed.reason : new BkpError('failed', `${called(ctx)}: ${LEARNERS}`, { next: VOTER });
}
