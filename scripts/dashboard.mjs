// The Grafana dashboard over the figures of `bkp status --textfile`, of plain data: one row a question, in the order in which they are asked.

const AGE = (metric, more = '') => `time() - ${metric}{env=~"$env",kind=~"$kind"${more}}`;
const OF = metric => `${metric}{env=~"$env",kind=~"$kind"}`;
const LEGEND = '{{kind}}/{{name}} in {{store}}';

/** A row of the table: what is asked, how it is answered, in which unit, and from where on it is bad. */
const PANELS = [
  {
    title: 'Is anything late or failing?',
    kind: 'stat',
    unit: 'none',
    bad: 1,
    queries: [
      [`sum(${OF('bkp_late')})`, 'late'],
      [`sum(${OF('bkp_failing')})`, 'failing'],
      [`sum(1 - ${OF('bkp_store_up')})`, 'stores silent'],
    ],
  },
  {
    title: 'How old are these figures?',
    kind: 'stat',
    unit: 's',
    bad: 3600,
    queries: [['time() - bkp_status_timestamp_seconds{env=~"$env"}', '{{env}}']],
  },
  {
    title: 'When was all of it last rehearsed?',
    kind: 'stat',
    unit: 's',
    bad: 35 * 86_400,
    queries: [[`max(${AGE('bkp_drill_last_success_timestamp_seconds')})`, 'oldest drill']],
  },
  {
    title: 'What would be lost now? (age of the recovery point)',
    kind: 'timeseries',
    unit: 's',
    queries: [[AGE('bkp_recovery_point_timestamp_seconds'), LEGEND]],
  },
  {
    title: 'Share of the promised RPO that is used up',
    kind: 'timeseries',
    unit: 'percentunit',
    bad: 1,
    queries: [[`(${AGE('bkp_recovery_point_timestamp_seconds')}) / ${OF('bkp_rpo_seconds')}`, LEGEND]],
  },
  { title: 'Log that a store lacks', kind: 'timeseries', unit: 'bytes', queries: [[OF('bkp_log_lag_bytes'), LEGEND]] },
  { title: 'Age of the log in a store', kind: 'timeseries', unit: 's', queries: [[OF('bkp_log_lag_seconds'), LEGEND]] },
  { title: 'Size of the newest backup', kind: 'timeseries', unit: 'bytes', queries: [[OF('bkp_backup_size_bytes'), LEGEND]] },
  {
    title: 'Stored, and hidden old versions',
    kind: 'timeseries',
    unit: 'bytes',
    queries: [
      [OF('bkp_store_bytes'), LEGEND],
      [OF('bkp_store_hidden_bytes'), `${LEGEND}, hidden`],
    ],
  },
  {
    title: 'Whole and damaged backups',
    kind: 'timeseries',
    unit: 'none',
    queries: [
      [OF('bkp_backups'), LEGEND],
      [OF('bkp_backups_damaged'), `${LEGEND}, damaged`],
    ],
  },
  {
    title: 'Since the last good verify and prune',
    kind: 'timeseries',
    unit: 's',
    queries: [
      [AGE('bkp_verify_last_success_timestamp_seconds'), `verify ${LEGEND}`],
      [AGE('bkp_prune_last_success_timestamp_seconds'), `prune ${LEGEND}`],
    ],
  },
];

const WIDTH = { stat: 8, timeseries: 12 };
const HEIGHT = { stat: 5, timeseries: 8 };
const datasource = { type: 'prometheus', uid: '${datasource}' };

const thresholds = bad => ({
  mode: 'absolute',
  steps: [{ color: bad === undefined ? 'blue' : 'green', value: null }, ...(bad === undefined ? [] : [{ color: 'red', value: bad }])],
});

/** Panels from left to right, a new line where one is full or the kind changes. */
function placed() {
  let [x, y, height] = [0, 0, 0];
  return PANELS.map((panel, n) => {
    const [w, h] = [WIDTH[panel.kind], HEIGHT[panel.kind]];
    if (x + w > 24 || (height !== 0 && h !== height)) [x, y] = [0, y + height];
    const gridPos = { x, y, w, h };
    [x, height] = [x + w, h];
    return {
      id: n + 1,
      type: panel.kind,
      title: panel.title,
      datasource,
      gridPos,
      fieldConfig: {
        defaults: {
          unit: panel.unit,
          thresholds: thresholds(panel.bad),
          color: { mode: panel.kind === 'stat' ? 'thresholds' : 'palette-classic' },
        },
        overrides: [],
      },
      options:
        panel.kind === 'stat'
          ? { colorMode: 'background', reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false } }
          : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
      targets: panel.queries.map(([expr, legendFormat], i) => ({ refId: String.fromCharCode(65 + i), expr, legendFormat, datasource })),
    };
  });
}

const variable = (name, label) => ({
  name,
  label: name,
  type: 'query',
  datasource,
  query: `label_values(bkp_store_up, ${label})`,
  refresh: 2,
  includeAll: true,
  multi: true,
  allValue: '.*',
  current: { text: 'All', value: '$__all' },
});

/** The dashboard as Grafana imports it. */
export const dashboard = () => ({
  uid: 'bkp',
  title: 'Backups (bkp)',
  tags: ['bkp'],
  schemaVersion: 39,
  editable: true,
  refresh: '1m',
  time: { from: 'now-7d', to: 'now' },
  templating: {
    list: [
      { name: 'datasource', label: 'datasource', type: 'datasource', query: 'prometheus' },
      variable('env', 'env'),
      variable('kind', 'kind'),
    ],
  },
  panels: placed(),
});
