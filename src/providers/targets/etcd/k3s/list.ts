import { basename } from 'node:path';
import * as z from 'zod';
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

const text = z.string().nullish();
const size = z.union([z.string(), z.number()]).nullish();

const resource = z.looseObject({
  spec: z.looseObject({ snapshotName: z.string().min(1), nodeName: text, location: text }),
  status: z
    .looseObject({ size, creationTime: text, readyToUse: z.boolean().nullish(), error: z.looseObject({ message: text }).nullish() })
    .nullish(),
});

/** Sizes of resources are Kubernetes' quantities; K3s writes plain bytes. */
const bytesOf = (of: z.infer<typeof size>): number => Number(/^\d{1,15}/.exec(String(of ?? 0))?.[0] ?? 0);

function ofResource({ spec, status }: z.infer<typeof resource>): Listed {
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

const old = z.looseObject({
  name: z.string().min(1),
  nodeName: text,
  location: text,
  size,
  createdAt: text,
  status: text,
  message: text,
});

function ofOld({ name, nodeName, location, size, createdAt, status, message }: z.infer<typeof old>): Listed {
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

const lists = z.union([
  z.null().transform((): Listed[] => []),
  z.array(old).transform(all => all.map(ofOld)),
  z
    .looseObject({ kind: z.string().regex(/List$/), items: z.array(resource).nullish() })
    .transform(({ items }) => (items ?? []).map(ofResource)),
]);

/**
 * Reads `k3s etcd-snapshot ls -o json`: a `List` of ETCDSnapshotFile in newer releases, an array in older, `null` for none.
 * @throws BkpError('failed') on anything else
 */
export function readList(text: string): Listed[] {
  const bad = (what: string, cause?: unknown): BkpError =>
    new BkpError('failed', `k3s etcd-snapshot ls gave ${what}`, { next: 'k3s etcd-snapshot ls -o json', cause });
  try {
    const parsed = lists.safeParse(JSON.parse(text.trim() || 'null'));
    if (parsed.success) return parsed.data;
  } catch (cause) {
    throw bad('no JSON that can be read', cause);
  }
  throw bad('JSON of a shape that is not known');
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
