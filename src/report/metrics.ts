import { Gauge, Registry } from 'prom-client';
import type { NotifierStatus, State, StatusReport, StoreStatus, TargetStatus, Verb } from '../core/status/types.ts';

type Labels = Readonly<Record<string, string>>;

/** One figure of one store; undefined = there is none, and then no series either. */
type Figure = (store: StoreStatus, target: TargetStatus) => number | undefined;

const seconds = (instant: string | undefined): number | undefined => (instant === undefined ? undefined : Date.parse(instant) / 1000);
const has = ({ why }: StoreStatus, state: State): number => Number(why.some(each => each.state === state));
const succeeded =
  (verb: Verb): Figure =>
  ({ runs }) =>
    seconds(runs[verb]?.successAt);
const failed =
  (verb: Verb): Figure =>
  ({ runs }) =>
    seconds(runs[verb]?.failureAt);

/** Name, help, figure. Of a store that does not answer only the first four are known. */
const PER_STORE: readonly (readonly [string, string, Figure])[] = [
  ['bkp_store_up', '1 = the store answered.', ({ up }) => Number(up)],
  ['bkp_failing', '1 = something is wrong with the backups of this store, beyond being late.', store => has(store, 'failing')],
  ['bkp_late', '1 = a scheduled run left no backup, or the recovery point is older than the RPO.', store => has(store, 'late')],
  ['bkp_rpo_seconds', 'How much time of data may be lost at most, by the config.', (_, { rpoSeconds }) => rpoSeconds],
  [
    'bkp_backup_last_success_timestamp_seconds',
    'When the newest good backup in the store ended.',
    store => seconds(store.newest?.finishedAt),
  ],
  ['bkp_backup_last_failure_timestamp_seconds', 'When the newest failed backup run ended.', failed('backup')],
  [
    'bkp_recovery_point_timestamp_seconds',
    'The instant to which the store alone brings the data.',
    store => seconds(store.recoveryPointAt),
  ],
  [
    'bkp_log_lag_seconds',
    'Age of the newest log in the store, by heartbeats where there are any; 0 while it holds all that the source wrote.',
    store => store.log?.lagSeconds,
  ],
  [
    'bkp_log_lag_bytes',
    'Log that the source wrote and the store lacks; absent while the source does not answer.',
    store => store.log?.lagBytes,
  ],
  ['bkp_backups', 'Whole backups in the store.', up(store => store.backups)],
  ['bkp_backups_damaged', 'Backups in the store that are damaged or not trusted.', up(store => store.damaged)],
  ['bkp_backup_size_bytes', 'Bytes that the newest good backup takes in the store.', store => store.newest?.bytes],
  ['bkp_store_bytes', 'Bytes of all objects of the target in the store.', up(store => store.bytes)],
  ['bkp_store_hidden_bytes', 'Bytes of old versions that no listing shows and that are paid for.', store => store.hidden?.bytes],
  ['bkp_backup_next_due_timestamp_seconds', 'When the run after the newest good backup is due.', up(store => seconds(store.nextDue))],
  ['bkp_verify_last_success_timestamp_seconds', 'When the newest good verification ended.', succeeded('verify')],
  ['bkp_prune_last_success_timestamp_seconds', 'When the newest good prune ended.', succeeded('prune')],
  ['bkp_prune_last_failure_timestamp_seconds', 'When the newest failed prune ended.', failed('prune')],
  ['bkp_drill_last_success_timestamp_seconds', 'When the newest good drill ended.', succeeded('drill')],
];

function up(figure: Figure): Figure {
  return (store, target) => (store.up ? figure(store, target) : undefined);
}

/** A gauge with its series; one without any is not made, so that nothing but a comment stands for it. */
function gauge(registry: Registry, name: string, help: string, series: readonly { labels: Labels; value: number | undefined }[]): void {
  const known = series.filter((each): each is { labels: Labels; value: number } => each.value !== undefined);
  if (known.length === 0) return;
  const made = new Gauge({ name, help, labelNames: Object.keys(known[0]!.labels), registers: [registry] });
  for (const { labels, value } of known) made.set(labels, value);
}

function ofSources(registry: Registry, { env, targets }: StatusReport): void {
  const asked = targets.flatMap(({ kind, name, source }) => (source ? [{ labels: { env, kind, name }, source }] : []));
  gauge(
    registry,
    'bkp_source_up',
    '1 = the source answered.',
    asked.map(({ labels, source }) => ({ labels, value: Number(source.state !== 'unknown') })),
  );
  gauge(
    registry,
    'bkp_source_check_ok',
    '0 = a check of the source fails, such as its archiver or its slot.',
    asked.flatMap(({ labels, source }) =>
      source.checks.map(({ name: check, state }) => ({ labels: { ...labels, check }, value: Number(state !== 'fail') })),
    ),
  );
}

function ofNotifiers(registry: Registry, { env, notifiers = [] }: StatusReport): void {
  const series = (figure: (notifier: NotifierStatus) => number | undefined) =>
    notifiers.map(each => ({ labels: { env, notifier: each.name }, value: figure(each) }));
  gauge(
    registry,
    'bkp_notifier_up',
    '0 = the newest message to this notifier did not arrive.',
    series(({ state }) => Number(state === 'ok')),
  );
  gauge(
    registry,
    'bkp_notifier_failures',
    'Messages in a row that did not arrive.',
    series(({ failures }) => failures),
  );
  gauge(
    registry,
    'bkp_notifier_last_failure_timestamp_seconds',
    'When the newest message that did not arrive was given up.',
    series(({ failureAt }) => seconds(failureAt)),
  );
}

/** Only where drills are asked for. */
function ofDrills(registry: Registry, { env, drills: { everySeconds, why } }: StatusReport): void {
  const asked = everySeconds !== undefined;
  const series = (state: State) => [{ labels: { env }, value: asked ? Number(why.some(each => each.state === state)) : undefined }];
  gauge(registry, 'bkp_drill_late', '1 = an entry was not drilled with success for longer than drills.every.', series('late'));
  gauge(registry, 'bkp_drill_failing', '1 = the newest drill failed.', series('failing'));
}

function ofKit(registry: Registry, { env, kit }: StatusReport): void {
  const late = kit?.everySeconds === undefined ? undefined : Number(kit.why.some(({ state }) => state === 'late'));
  gauge(registry, 'bkp_kit_late', '1 = the newest kit is older than kit.every, or lacks what the config has.', [
    { labels: { env }, value: late },
  ]);
  gauge(registry, 'bkp_kit_exported_timestamp_seconds', 'When the newest kit on record was exported.', [
    { labels: { env }, value: seconds(kit?.exported?.at) },
  ]);
  gauge(registry, 'bkp_kit_proven_timestamp_seconds', 'When a kit was last found good.', [
    { labels: { env }, value: seconds(kit?.proven?.at) },
  ]);
}

/**
 * The figures of a status in Prometheus's text format: gauges with the labels env, kind, name and store, instants in seconds since 1970.
 * The registry is its own, without figures of this process.
 */
export function metricsText(report: StatusReport): Promise<string> {
  const { env, at, targets } = report;
  const registry = new Registry();
  const rows = targets.flatMap(target =>
    target.stores.map(store => ({ store, target, labels: { env, kind: target.kind, name: target.name, store: store.store } })),
  );
  for (const [name, help, figure] of PER_STORE)
    gauge(
      registry,
      name,
      help,
      rows.map(({ store, target, labels }) => ({ labels, value: figure(store, target) })),
    );
  ofSources(registry, report);
  ofNotifiers(registry, report);
  ofDrills(registry, report);
  ofKit(registry, report);
  gauge(registry, 'bkp_status_timestamp_seconds', 'When the figures were gathered.', [{ labels: { env }, value: seconds(at) }]);
  return registry.metrics();
}
