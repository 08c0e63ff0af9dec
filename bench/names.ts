/** Every benchmark, and what a figure of it is meant to be at most. What each compares is the comment at the head of its file. */
export const benches: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'cold-start': { ratio: 1.25, ratio_wal_fetch: 2 },
  'base-backup': {},
  upload: { ratio_pipe: 0.9, ratio_one: 1, ratio_two: 0.8 },
  download: { ratio_plain: 0.9, ratio_line: 1 },
  prune: {},
  list: {},
  'postgres-peers': {},
  incremental: {},
  redis: {},
  etcd: {},
  samba: {},
  files: { 'ratio.first': 1.05, 'ratio.second': 1.05, 'ratio.restore': 1.05 },
  'full-dr': {},
  rpo: { max_1s: 1.02, max_250ms: 0.3, max_sync: 0 },
  replay: { ratio: 1.4 },
};
