import { node24 } from '../../test/real/rig/index.ts';
import { median, round } from '../measure.ts';
import { type Metered, medians, metered } from '../metered.ts';
import { clientEnv } from '../peers.ts';
import { BASE, backup, DAY_MS, type Laid, wal } from './backups.ts';
import { type Bucket, lay, startBucket } from './lay.ts';
import { type Signer, signer } from './signer.ts';

const BACKUPS = 500;
export const CONNECTIONS = 20;

/** One backup a day, each with its manifest and one piece, and the WAL of all that time: `count` objects. */
function* objects({ keys }: Signer, count: number): Generator<Laid> {
  const segments = count - 2 * BACKUPS;
  const from = Date.now() - BACKUPS * DAY_MS;
  for (let n = 0; n < BACKUPS; n += 1)
    yield* backup(keys, new Date(from + n * DAY_MS + DAY_MS / 2), Math.floor(((n + 0.5) / BACKUPS) * segments));
  for (let n = 0; n < segments; n += 1) yield wal(n, new Date(from + ((n + 1) / segments) * BACKUPS * DAY_MS - 60_000));
}

interface Told extends Metered {
  objects: number;
  requests: number;
  seconds: number;
  survey_s: number;
  plan_s: number;
  backups: number;
  going: number;
  log: number;
}

/** Medians of what several runs of one task used and told, field by field. */
function middle(runs: readonly Told[]): Told {
  const fields = Object.entries(runs[0]!).filter(([, value]) => typeof value === 'number');
  return Object.fromEntries(fields.map(([name]) => [name, median(runs.map(run => run[name as keyof Told]))])) as unknown as Told;
}

/** The programs run one after another, in as many rounds as there is patience for. */
function measure({ server, name }: Bucket, { trusted }: Signer, count: number, program: string, s5cmd: string) {
  const { endpoint, region, accessKey, secretKey } = server;
  const store = { type: 's3', endpoint, region, bucket: name, accessKey, secretKey, connections: CONNECTIONS };
  const ours = (does: string): Told => {
    const run = metered(`${node24()} ${program}`, { BENCH: JSON.stringify({ does, store, base: BASE, trusted }) });
    return { ...run, ...JSON.parse(run.stdout.trim().split('\n').at(-1)!) };
  };
  const theirs = () => metered(`${s5cmd} ls 's3://${name}/${BASE}/*' | wc -l`, clientEnv(server));
  const rounds = Array.from({ length: count > 500_000 ? 1 : 3 }, () => ({ peer: theirs(), list: ours('list'), plan: ours('plan') }));
  const counts = rounds.flatMap(({ peer, list, plan }) => [Number(peer.stdout), list.objects, plan.objects]);
  if (counts.some(seen => seen !== count)) throw new Error(`${count} objects were laid, and the listings show ${counts.join(', ')}`);
  return {
    rounds: rounds.length,
    peer: medians(rounds.map(({ peer }) => peer)),
    list: middle(rounds.map(({ list }) => list)),
    plan: middle(rounds.map(({ plan }) => plan)),
  };
}

function show(name: string, { wall, cpu, rss }: Metered): void {
  console.log(
    `${name.padEnd(10)} ${wall.toFixed(2).padStart(7)} s  ${cpu.toFixed(2).padStart(7)} s cpu  ${rss.toFixed(0).padStart(5)} MiB`,
  );
}

/**
 * Fills a bucket with `count` objects and measures what prune reads and decides there.
 * @param program the bundled survey.ts
 */
export async function inStore(count: number, program: string, s5cmd: string) {
  const bucket = await startBucket(count);
  const signed = signer();
  const fill = await lay(bucket.dir, objects(signed, count));
  console.log(`${count} objects, ${BACKUPS} of them manifests, laid in ${round(fill)} s`);
  const { rounds, peer, list, plan } = measure(bucket, signed, count, program, s5cmd);
  await bucket.server.stop();
  show('s5cmd ls', peer);
  show('bkp list', list);
  show('bkp plan', plan);
  console.log(
    `plan: ${plan.requests} requests, ${round(plan.requests / plan.seconds)} a second; reading ${round(plan.survey_s)} s, deciding ${round(plan.plan_s)} s: ` +
      `${plan.going} of ${plan.backups} backups and ${plan.log} parts of the log would go`,
  );
  return {
    objects: count,
    rounds,
    fill_s: round(fill),
    list_s: round(list.seconds),
    survey_s: round(plan.survey_s),
    plan_s: round(plan.plan_s),
    requests: plan.requests,
    requests_per_s: round(plan.requests / plan.seconds),
    rss_mib: Math.round(plan.rss),
    s5cmd_ls_s: round(peer.wall),
    ratio_list: round(list.wall / peer.wall),
    ratio_plan: round(plan.wall / peer.wall),
  };
}
