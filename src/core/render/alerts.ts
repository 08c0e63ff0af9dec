/** One alert of Prometheus. */
export interface Alert {
  alert: string;
  expr: string;
  for?: string;
  labels: { severity: 'warning' | 'critical'; [label: string]: string };
  /** `runbook_url` is a page of these docs: whoever serves them elsewhere puts their address before it. */
  annotations: { runbook_url: string; summary: string; description?: string };
}

/** The alerts on the figures of `bkp status`: those of deploy/prometheus/bkp.rules.yml, which says why each one is as it is. */
export const ALERTS: readonly Alert[] = [
  {
    alert: 'BkpNothingReported',
    expr: 'absent_over_time(bkp_status_timestamp_seconds[26h])',
    labels: { severity: 'critical' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpnothingreported',
      summary: 'no bkp status was reported for 26 hours',
      description: 'Nobody knows whether there are backups. See whether `bkp status` still runs and its figures still arrive.',
    },
  },
  {
    alert: 'BkpStatusStale',
    expr: 'time() - max by (env, kind, name) (bkp_status_timestamp_seconds) > 3600',
    for: '5m',
    labels: { severity: 'warning' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpstatusstale',
      summary: 'bkp status of {{ $labels.env }} is {{ $value | humanizeDuration }} old',
      description: 'What the other alerts of bkp see is out of date. Run `bkp status` by hand; then look at what starts it.',
    },
  },
  {
    alert: 'BkpStatusGone',
    expr: 'time() - max by (env, kind, name) (bkp_status_timestamp_seconds) > 26 * 3600',
    labels: { severity: 'critical' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpstatusgone',
      summary: 'bkp status of {{ $labels.env }} was last gathered {{ $value | humanizeDuration }} ago',
      description: 'Nobody knows whether there are backups.',
    },
  },
  {
    alert: 'BkpLookFails',
    expr: 'bkp_up == 0',
    for: '15m',
    labels: { severity: 'critical' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkplookfails',
      summary: 'bkp status --listen of {{ $labels.env }} cannot look',
      description: 'It answers, and its looks fail or are old. Its `/healthz` says why.',
    },
  },
  {
    alert: 'BkpStoreDown',
    expr: 'bkp_store_up == 0',
    for: '15m',
    labels: { severity: 'critical' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpstoredown',
      summary: 'store {{ $labels.store }} of {{ $labels.kind }}/{{ $labels.name }} does not answer',
      description: 'Backups go to fewer places than they should. `bkp doctor {{ $labels.kind }} {{ $labels.name }}` says what is wrong.',
    },
  },
  {
    alert: 'BkpBackupLate',
    expr: 'bkp_late == 1 or time() - bkp_backup_next_due_timestamp_seconds > 7200',
    for: '10m',
    labels: { severity: 'critical' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpbackuplate',
      summary: '{{ $labels.kind }}/{{ $labels.name }} is late in store {{ $labels.store }}',
      description:
        'A run that was due left no good backup, or the recovery point is older than the RPO. `bkp status {{ $labels.kind }} {{ $labels.name }}` says which.',
    },
  },
  {
    alert: 'BkpRpoExceeded',
    expr: 'time() - bkp_recovery_point_timestamp_seconds > bkp_rpo_seconds and bkp_log_lag_seconds',
    for: '10m',
    labels: { severity: 'critical' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkprpoexceeded',
      summary:
        '{{ $labels.kind }}/{{ $labels.name }} could lose {{ $value | humanizeDuration }} of data with store {{ $labels.store }} alone',
      description: 'The log has not reached the store for longer than the RPO allows. Is `bkp stream` running, does the archiver work?',
    },
  },
  {
    alert: 'BkpFailing',
    expr: 'bkp_failing == 1 and bkp_store_up == 1',
    for: '15m',
    labels: { severity: 'critical' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpfailing',
      summary: 'backups of {{ $labels.kind }}/{{ $labels.name }} in store {{ $labels.store }} are not in order',
      description: '`bkp status {{ $labels.kind }} {{ $labels.name }}` says why.',
    },
  },
  {
    alert: 'BkpArchiver',
    expr: 'bkp_source_check_ok == 0',
    for: '10m',
    labels: { severity: 'critical' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkparchiver',
      summary: '{{ $labels.check }} of {{ $labels.kind }}/{{ $labels.name }} fails',
      description: 'The log does not leave the source as it should. `bkp doctor {{ $labels.kind }} {{ $labels.name }}` says what mends it.',
    },
  },
  {
    alert: 'BkpNotifierDown',
    expr: 'bkp_notifier_up == 0',
    for: '15m',
    labels: { severity: 'warning' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpnotifierdown',
      summary: 'notifier {{ $labels.notifier }} of {{ $labels.env }} does not get its messages',
      description:
        'What runs here may fail and nobody hears of it. `bkp notify test {{ $labels.notifier }}` says why, and ends this once a message arrives.',
    },
  },
  {
    alert: 'BkpPruneFails',
    expr: 'bkp_prune_last_failure_timestamp_seconds > bkp_prune_last_success_timestamp_seconds and time() - bkp_prune_last_success_timestamp_seconds > 7 * 86400',
    labels: { severity: 'warning' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpprunefails',
      summary: 'prune of {{ $labels.kind }}/{{ $labels.name }} has failed for a week',
      description:
        'Old backups pile up in store {{ $labels.store }}. `bkp prune {{ $labels.kind }} {{ $labels.name }}` shows the plan and what halts it.',
    },
  },
  {
    alert: 'BkpNotVerified',
    expr: 'time() - bkp_verify_last_success_timestamp_seconds > 35 * 86400',
    labels: { severity: 'warning' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpnotverified',
      summary:
        'the backups of {{ $labels.kind }}/{{ $labels.name }} in store {{ $labels.store }} were last verified {{ $value | humanizeDuration }} ago',
    },
  },
  {
    alert: 'BkpNeverVerified',
    expr: 'bkp_backups unless bkp_verify_last_success_timestamp_seconds',
    for: '35d',
    labels: { severity: 'warning' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpneververified',
      summary: 'no verification of {{ $labels.kind }}/{{ $labels.name }} in store {{ $labels.store }} has ever come out right',
    },
  },
  {
    alert: 'BkpDrillLate',
    expr: 'bkp_drill_late == 1',
    for: '1h',
    labels: { severity: 'warning' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpdrilllate',
      summary: 'no drill of {{ $labels.env }} has come out right for longer than the config allows',
      description: '`bkp status` says which entry, `bkp drill full-dr` rehearses them; then look at what starts the drills.',
    },
  },
  {
    alert: 'BkpKitLate',
    expr: 'bkp_kit_late == 1',
    for: '1h',
    labels: { severity: 'warning' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpkitlate',
      summary: 'the newest disaster kit of {{ $labels.env }} is too old, or lacks what the config has',
      description: '`bkp status` says what it lacks; `bkp kit export` makes a new one.',
    },
  },
  {
    alert: 'BkpDrillFailing',
    expr: 'bkp_drill_failing == 1',
    for: '10m',
    labels: { severity: 'critical' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpdrillfailing',
      summary: 'the newest drill of {{ $labels.env }} did not come out right',
      description: 'A restore might fail as well. `bkp status` says what failed, `bkp report` shows the whole drill.',
    },
  },
  {
    alert: 'BkpNotDrilled',
    expr: 'time() - bkp_drill_last_success_timestamp_seconds > 35 * 86400',
    labels: { severity: 'warning' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpnotdrilled',
      summary:
        'a restore of {{ $labels.kind }}/{{ $labels.name }} from store {{ $labels.store }} was last rehearsed {{ $value | humanizeDuration }} ago',
    },
  },
  {
    alert: 'BkpNeverDrilled',
    expr: 'bkp_backups unless bkp_drill_last_success_timestamp_seconds',
    for: '35d',
    labels: { severity: 'warning' },
    annotations: {
      runbook_url: 'docs/how-to/alerts.md#bkpneverdrilled',
      summary: 'no restore of {{ $labels.kind }}/{{ $labels.name }} from store {{ $labels.store }} was ever rehearsed',
    },
  },
];
