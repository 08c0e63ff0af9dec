import { ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import type { Stored } from './folder.ts';
import type { Bucket } from './s3.ts';

interface Entry {
  Key?: string | undefined;
  LastModified?: Date | undefined;
  Size?: number | undefined;
  VersionId?: string | undefined;
}

/** A key that ends in `/` is the place of a folder to WAL-G, and never an object: it neither reads nor deletes it. */
const storedOf = (root: string, entries: readonly Entry[]): Stored[] =>
  entries
    .filter(({ Key }) => !Key!.endsWith('/'))
    .map(({ Key, LastModified, Size, VersionId }) => ({
      name: Key!.slice(root.length),
      time: LastModified!,
      size: Size ?? 0,
      ...(VersionId ? { version: VersionId } : {}),
    }));

/** What a bucket that keeps no versions has below `under`. @throws Fatal */
export async function plainly({ client, name: Bucket, root, ask }: Bucket, under: string): Promise<Stored[]> {
  const all: Stored[] = [];
  for (let ContinuationToken: string | undefined; ; ) {
    const command = new ListObjectsV2Command({ Bucket, Prefix: root + under, ContinuationToken });
    const page = await ask(`failed to list s3 folder: '${root}${under}'`, () => client.send(command));
    all.push(...storedOf(root, page.Contents ?? []));
    ContinuationToken = page.NextContinuationToken;
    if (!ContinuationToken) return all;
  }
}

/** Every version below `under` of what is not deleted; with `hidden`, of that too, and the marks of deletion. @throws Fatal */
export async function versions({ client, name: Bucket, root, ask }: Bucket, under: string, hidden: boolean): Promise<Stored[]> {
  const [kept, marks]: [Entry[], (Entry & { IsLatest?: boolean | undefined })[]] = [[], []];
  for (let at: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {}; ; ) {
    const command = new ListObjectVersionsCommand({ Bucket, Prefix: root + under, ...at });
    const page = await ask(`failed to list s3 folder: '${root}${under}'`, () => client.send(command));
    kept.push(...(page.Versions ?? []));
    marks.push(...(page.DeleteMarkers ?? []));
    if (!page.IsTruncated) break;
    at = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
  }
  const deleted = new Set(marks.filter(({ IsLatest }) => IsLatest).map(({ Key }) => Key));
  return storedOf(root, hidden ? [...kept, ...marks] : kept.filter(({ Key }) => !deleted.has(Key)));
}
