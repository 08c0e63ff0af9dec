// The program that `prune` measures: one listing of a target, or all that a plan of prune needs. BENCH is its task as JSON.
import { randomBytes } from 'node:crypto';
import { subscribe } from 'node:diagnostics_channel';
import type { TargetEntry } from '../../src/core/config/index.ts';
import type { TargetContext } from '../../src/core/contracts.ts';
import { makeKeys } from '../../src/flow/keys.ts';
import { planStore } from '../../src/ops/prune/plan.ts';
import { survey } from '../../src/ops/prune/survey.ts';
import { stores } from '../../src/providers/stores/index.ts';
import { postgres } from '../../src/providers/targets/postgres/index.ts';
import { systemClock } from '../../src/system/clock.ts';
import { systemRunner } from '../../src/system/runner.ts';

interface Task {
  does: 'list' | 'plan';
  store: Record<string, unknown>;
  base: string;
  trusted: string[];
}

const task: Task = JSON.parse(process.env['BENCH']!);
const store = stores['s3']!.open('s3', stores['s3']!.config.parse(task.store), { prefix: 'bkp', clock: systemClock, random: randomBytes });
const entry: TargetEntry = {
  engine: 'native',
  stores: ['s3'],
  need: 1,
  alarmBelow: 50,
  fullDr: { after: [], online: false, options: {}, skip: false },
  pruneShare: 50,
  ...postgres.defaults,
  retention: postgres.defaults.retention as TargetEntry['retention'],
};
const ctx: TargetContext = {
  env: 'production',
  kind: 'postgres',
  name: 'app',
  config: postgres.config.parse({ engine: 'native' }),
  base: task.base,
  stores: [store],
  need: 1,
  keys: makeKeys({ recipients: [], trusted: task.trusted }),
  timezone: 'Europe/Berlin',
  weekStart: 'sunday',
  run: systemRunner,
  clock: systemClock,
  report: { emit: event => console.error(event) },
  signal: new AbortController().signal,
  scratch: async () => '/nonexistent',
};

let requests = 0;
subscribe('http.client.request.start', () => {
  requests += 1;
});
const since = (from: number): number => (performance.now() - from) / 1000;

async function list(): Promise<object> {
  let objects = 0;
  for await (const _ of store.list(`${task.base}/`)) objects += 1;
  return { objects };
}

async function plan(): Promise<object> {
  const began = performance.now();
  const now = systemClock.now();
  const seen = await survey(ctx, store, now);
  const survey_s = since(began);
  const planning = performance.now();
  const { lines, log, orphans, halts } = planStore(postgres, ctx, entry, seen, { now }, false);
  return {
    objects: seen.objects.length,
    survey_s,
    plan_s: since(planning),
    backups: lines.length,
    going: lines.filter(({ keep }) => !keep).length,
    log: log.length,
    orphans: orphans.length,
    halts,
  };
}

const began = performance.now();
const told = await (task.does === 'list' ? list() : plan());
console.log(JSON.stringify({ ...told, requests, seconds: since(began) }));
process.exit(0);
