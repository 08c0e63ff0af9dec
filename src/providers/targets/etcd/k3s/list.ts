import { basename } from 'node:path';
import { BkpError } from '../../../../core/errors.ts';

/** A snapshot as `k3s etcd-snapshot ls` shows it. */
export interface Listed {
  /** Name of its file. */
  name: string;
  node: string;
  /** Path on that node; absent for what lies in S3. */
  path?: string;
  bytes: number;
  at: Date;
  /** K3s says that it did not come about. */
  failed?: string;
}

const pathIn = (location: string): string | undefined =>
  location.startsWith('file://') ? decodeURIComponent(location.slice('file://'.length)) : undefined;

interface Resource {
  spec: { snapshotName: string; nodeName?: string; location?: string };
  status?: { size?: string | number; creationTime?: string; readyToUse?: boolean; error?: { message?: string } };
}

/** Sizes of resources are Kubernetes' quantities; K3s writes plain bytes. */
const bytesOf = (size: string | number | undefined): number => Number(/^\d+/.exec(String(size ?? 0))?.[0] ?? 0);

function ofResource({ spec, status }: Resource): Listed {
  const path = pathIn(spec.location ?? '');
  const failed = status?.error?.message ?? (status?.readyToUse === false ? 'it is not ready to use' : undefined);
  return {
    name: path ? basename(path) : spec.snapshotName,
    node: spec.nodeName ?? '',
    ...(path ? { path } : {}),
    bytes: bytesOf(status?.size),
    at: new Date(status?.creationTime ?? Number.NaN),
    ...(failed ? { failed } : {}),
  };
}

interface Old {
  name: string;
  nodeName?: string;
  location?: string;
  size?: number | string;
  createdAt?: string;
  status?: string;
  message?: string;
}

function ofOld({ name, nodeName, location, size, createdAt, status, message }: Old): Listed {
  const path = pathIn(location ?? '');
  return {
    name,
    node: nodeName ?? '',
    ...(path ? { path } : {}),
    bytes: bytesOf(size),
    at: new Date(createdAt ?? Number.NaN),
    ...(status === 'failed' ? { failed: message ?? 'K3s says that it failed' } : {}),
  };
}

/**
 * Reads `k3s etcd-snapshot ls -o json`: a `List` of ETCDSnapshotFile in newer releases, an array in older, `null` for none.
 * @throws BkpError('failed') on anything else
 */
export function readList(text: string): Listed[] {
  try {
    const found = JSON.parse(text.trim() || 'null') as { kind?: string; items?: Resource[] | null } | Old[] | null;
    if (found === null) return [];
    if (Array.isArray(found)) return found.map(ofOld);
    if (/List$/.test(found.kind ?? '')) return (found.items ?? []).map(ofResource);
  } catch (cause) {
    throw new BkpError('failed', 'k3s etcd-snapshot ls gave no JSON that can be read', { next: 'k3s etcd-snapshot ls -o json', cause });
  }
  throw new BkpError('failed', 'k3s etcd-snapshot ls gave JSON of a shape that is not known', { next: 'k3s etcd-snapshot ls -o json' });
}

/** `<name>-<node>-<unix>[.zip]`: when K3s took it, by its name; undefined for what is no finished snapshot, such as `….part`. */
export function takenAt(name: string): Date | undefined {
  const seconds = /-(\d{9,11})(?:\.zip)?$/.exec(name)?.[1];
  return seconds === undefined ? undefined : new Date(Number(seconds) * 1000);
}

/** Names that bkp gives to the snapshots that it has K3s take, which it removes again. */
export const OWN = /^bkp-\d{8}t\d{6}z-[0-9a-f]{6}-/;

/** The base name of the snapshot of one run: lower case, as the names of Kubernetes' objects have to be. */
export const ownName = (id: string): string => `bkp-${id.toLowerCase()}`;
