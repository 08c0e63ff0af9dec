/** What restic says at the end of `backup --json`. */
export interface Summary {
  /** The id of the snapshot; before restic 0.15 its first eight digits. */
  snapshot: string;
  files: number;
  /** Bytes of all files that were processed, and of what was new in the repository. */
  bytes: number;
  added: number;
  /** Pieces that were new in the repository. */
  blobs: number;
}

/** One line of `backup --json`; undefined for what is none of these. */
export type Said =
  | { is: 'status'; bytes: number; total: number }
  | { is: 'error'; path: string; text: string; gone: boolean }
  | { is: 'summary'; summary: Summary }
  | { is: 'text'; text: string };

const whole = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);

const ENOENT = 2;

/** The reason that restic gives, an object with an errno before 0.15 and a sentence since. */
function errorOf(message: any): Said {
  const { error = {}, item } = message;
  const path = String(item || error.Path || '');
  const text =
    typeof error === 'string' ? error : String(error.message ?? [error.Op, error.Path, errnoText(error.Err)].filter(Boolean).join(' '));
  return { is: 'error', path, text, gone: error.Err === ENOENT || /no such file or directory/.test(text) };
}

const errnoText = (errno: unknown): string => (typeof errno === 'number' ? `(errno ${errno})` : typeof errno === 'string' ? errno : '');

/** Reads one line of `restic backup --json`. Pure. */
export function saidOf(line: string): Said | undefined {
  if (line.trim() === '') return undefined;
  let message: any;
  try {
    message = JSON.parse(line);
  } catch {
    return { is: 'text', text: line };
  }
  switch (message?.message_type) {
    case 'status':
      return { is: 'status', bytes: whole(message.bytes_done), total: whole(message.total_bytes) };
    case 'error':
      return errorOf(message);
    case 'summary':
      return {
        is: 'summary',
        summary: {
          snapshot: String(message.snapshot_id ?? ''),
          files: whole(message.total_files_processed),
          bytes: whole(message.total_bytes_processed),
          added: whole(message.data_added_packed ?? message.data_added),
          blobs: whole(message.data_blobs) + whole(message.tree_blobs),
        },
      };
    case 'exit_error':
      return { is: 'text', text: String(message.message ?? line) };
    default:
      return undefined;
  }
}

/** One snapshot of a repository, as `restic snapshots --json` shows it. */
export interface Snapshot {
  id: string;
  time: Date;
  paths: readonly string[];
  host: string;
  tags: readonly string[];
}

/** Reads `restic snapshots --json`, oldest first. Throws SyntaxError. Pure. */
export function snapshotsOf(text: string): Snapshot[] {
  const list = (JSON.parse(text.trim() || '[]') ?? []) as {
    id: string;
    time: string;
    paths?: string[];
    hostname?: string;
    tags?: string[];
  }[];
  return list
    .map(({ id, time, paths = [], hostname = '', tags = [] }) => ({ id, time: new Date(time), paths, host: hostname, tags }))
    .sort((a, b) => a.time.getTime() - b.time.getTime());
}

/** One entry of `restic ls --json`. */
export interface Node {
  path: string;
  type: 'file' | 'dir' | 'symlink' | 'other';
  uid: number;
  gid: number;
  /** Permission bits with set-uid, set-gid and sticky, as lstat has them. */
  mode: number;
  size: number;
  /** ns since 1970. */
  mtime: bigint;
}

/** Go's bits of set-uid, set-gid and sticky (io/fs), and lstat's. */
const BITS = [
  [1 << 23, 0o4000],
  [1 << 22, 0o2000],
  [1 << 20, 0o1000],
] as const;

export const permissionsOf = (mode: number): number => BITS.reduce((sum, [go, unix]) => sum | (mode & go ? unix : 0), mode & 0o777);

const NS = 1_000_000_000n;

/** ns since 1970 of restic's RFC 3339 times, of whatever offset. */
export function nanosecondsOf(text: string): bigint {
  const [, head = '', fraction = '', zone = 'Z'] = /^(.*?:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  return BigInt(Math.round(Date.parse(head + zone) / 1000)) * NS + BigInt(fraction.padEnd(9, '0') || '0');
}

const TYPES = ['file', 'dir', 'symlink'] as const;

/** Reads one line of `restic ls --json`; undefined for the line of the snapshot itself. Throws SyntaxError. Pure. */
export function nodeOf(line: string): Node | undefined {
  const { struct_type, message_type, path, type, uid, gid, mode, size, mtime } = JSON.parse(line);
  if (struct_type !== 'node' && message_type !== 'node') return undefined;
  return {
    path,
    type: TYPES.find(each => each === type) ?? 'other',
    uid: whole(uid),
    gid: whole(gid),
    mode: permissionsOf(whole(mode)),
    size: whole(size),
    mtime: nanosecondsOf(String(mtime)),
  };
}
