/** What a test can have this WAL-G do wrong, by WALG_STUB_FAULT: names with an optional `:value`, separated by commas. */
export const FAULTS = {
  /** backup-push logs as ever, exits 0 and writes no sentinel. */
  'no-sentinel': 'backup-push',
  /** backup-push writes sentinel and metadata, and none of the parts. */
  'sentinel-without-parts': 'backup-push',
  /** backup-push leaves a zero-byte object whose key ends in `/` among the parts. */
  'stray-object': 'backup-push',
  /** backup-push kills itself after its first part, with an upload in parts begun and left behind. */
  killed: 'backup-push',
  /** backup-push records times one day ahead. */
  'future-time': 'backup-push',
  /** backup-fetch: parts 3, 6 and 9 stand still after their first bytes, and nothing ever closes. */
  'stalled-download': 'backup-fetch',
  /** backup-fetch: parts 3, 6 and 9 are left out, and the exit code is 0. */
  'lost-parts': 'backup-fetch',
  /** backup-list: the newest is not the last, nor the oldest the first. */
  'shuffled-list': 'backup-list',
  /** backup-list: every backup has another cluster's system identifier. */
  'wrong-system-identifier': 'backup-list',
  /** wal-verify: FAILURE, and exit code 0. */
  'verify-failure': 'wal-verify',
  /** Any command: fails with an error that quotes AWS_SECRET_ACCESS_KEY and PGPASSWORD. */
  'secret-echo': undefined,
  /** Any command: each object takes that many milliseconds more, 500 unless `slow:MS`. */
  slow: undefined,
} as const satisfies Record<string, string | undefined>;

export type FaultName = keyof typeof FAULTS;

const chosen = new Map<string, string>(
  (process.env['WALG_STUB_FAULT'] ?? '')
    .split(',')
    .filter(Boolean)
    .map(text => text.split(':') as [string, string?])
    .map(([name, value]) => [name, value ?? '']),
);

for (const name of chosen.keys()) if (!(name in FAULTS)) throw new Error(`WALG_STUB_FAULT: there is no fault ${name}`);

/** Whether this run has that fault. */
export const hasFault = (name: FaultName): boolean => chosen.has(name);

/** Waits, under the fault `slow`. */
export async function slowly(): Promise<void> {
  if (!hasFault('slow')) return;
  await new Promise(resolve => setTimeout(resolve, Number(chosen.get('slow') || 500)));
}
