import { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import type { Bucket } from './s3.ts';

/** Blocks of `size` bytes, the last one smaller or, when nothing came, empty. */
async function* blocks(body: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Buffer> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    held.push(chunk);
    bytes += chunk.length;
    while (bytes >= size) {
      const all = Buffer.concat(held);
      yield all.subarray(0, size);
      held = [all.subarray(size)];
      bytes -= size;
    }
  }
  yield Buffer.concat(held);
}

/** Begins an upload in parts and returns its id. Nothing here ever aborts one: what fails or is killed leaves it behind. */
async function begin({ client, name: Bucket, ask }: Bucket, Key: string): Promise<string> {
  const { UploadId } = await ask(`failed to upload '${Key}' to bucket '${Bucket}'`, () =>
    client.send(new CreateMultipartUploadCommand({ Bucket, Key })),
  );
  return UploadId!;
}

async function inParts(bucket: Bucket, Key: string, first: Buffer, more: AsyncGenerator<Buffer>): Promise<number> {
  const { client, name: Bucket, ask } = bucket;
  const what = `failed to upload '${Key}' to bucket '${Bucket}': MultipartUpload: upload multipart failed`;
  const UploadId = await begin(bucket, Key);
  const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
  let bytes = 0;
  const add = async (Body: Buffer) => {
    const PartNumber = Parts.length + 1;
    const { ETag } = await ask(what, () => client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body })));
    Parts.push({ PartNumber, ETag });
    bytes += Body.length;
  };
  await add(first);
  for await (const block of more) if (block.length > 0) await add(block);
  await ask(what, () => client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } })));
  return bytes;
}

/** Stores one object: at once when it fits into a part (S3_MAX_PART_SIZE, 20 MiB), else in parts. Returns its bytes. */
export async function upload(bucket: Bucket, Key: string, body: AsyncIterable<Uint8Array>): Promise<number> {
  const { client, name: Bucket, ask, partSize } = bucket;
  const all = blocks(body, partSize);
  const { value: first } = await all.next();
  if (first!.length >= partSize) return inParts(bucket, Key, first!, all);
  await ask(`failed to upload '${Key}' to bucket '${Bucket}'`, () => client.send(new PutObjectCommand({ Bucket, Key, Body: first })));
  return first!.length;
}

/** Begins an upload, sends one part of it, and leaves it at that. */
export async function abandon(bucket: Bucket, Key: string): Promise<void> {
  const { client, name: Bucket, ask } = bucket;
  const UploadId = await begin(bucket, Key);
  await ask('abandon', () => client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: Buffer.alloc(1 << 20) })));
}
