import { BkpError } from '../../../core/errors.ts';
import type { Caller, CallOptions } from './caller.ts';
import { BLOCK } from './limits.ts';
import { md5 } from './lock.ts';
import { TOKEN } from './look.ts';
import type { Hold } from './settings.ts';

/** Parts of one object at most, in any S3. */
const PARTS = 10_000;
/** How often a store is told to forget an upload of which parts were cut off, and how long it has in between: milliseconds. */
const TELLINGS = 4;
const BETWEEN = 150;

interface Part {
  etag: string;
  bytes: number;
}

/** What both ways of writing an object need. */
export interface Writing {
  caller: Caller;
  key: string;
  /** Random; the object carries it. */
  token: string;
  /** Ends what is on its way when the upload is given up. */
  signal: AbortSignal;
  /** How the object is held from the start. */
  hold?: Hold;
}

/** What a request that makes an object says of its lock. */
export const lockFields = (hold: Hold | undefined) => (hold ? { ObjectLockMode: hold.mode, ObjectLockRetainUntilDate: hold.until } : {});

/** An object in parts of one block each, begun with the first of them. */
export class Parts {
  readonly #writing: Writing;
  readonly #sent = new Map<number, Part>();
  readonly #flying = new Set<Promise<void>>();
  #id: Promise<string> | undefined;

  constructor(writing: Writing) {
    this.#writing = writing;
  }

  get any(): boolean {
    return this.#id !== undefined;
  }

  /** Of all parts that the store took. */
  get bytes(): number {
    return [...this.#sent.values()].reduce((sum, part) => sum + part.bytes, 0);
  }

  /** Sends block `n`, counted from 0. Throws StoreFault; BkpError('failed') when no object has so many parts. */
  async send(n: number, bytes: Buffer, sha256: string): Promise<void> {
    if (n >= PARTS) {
      throw new BkpError(
        'failed',
        `${this.#writing.key} would have more than ${PARTS} parts of ${BLOCK} bytes, and no S3 store takes that`,
      );
    }
    const flight = this.#part(n, bytes, sha256).finally(() => this.#flying.delete(flight));
    this.#flying.add(flight);
    return flight;
  }

  /** Makes one object of the parts. Throws StoreFault; BkpError('failed') when one is missing or short. */
  async complete(condition: { IfNoneMatch?: string }): Promise<void> {
    const parts = this.#inOrder();
    const UploadId = await this.#id!;
    const MultipartUpload = { Parts: parts.map(([n, { etag }]) => ({ PartNumber: n + 1, ETag: etag })) };
    await this.#writing.caller.call(
      'CompleteMultipartUpload',
      sdk => new sdk.CompleteMultipartUploadCommand({ ...this.#object, ...condition, UploadId, MultipartUpload }),
      { ...this.#about, patient: true },
    );
  }

  /**
   * Waits for what is on its way, then has the store forget all of it. A part that was cut off may still be at work in the store, and
   * bring the upload back behind the first answer (versitygw 1.8: 2 of 150), so that the store is told again until it knows of none;
   * S3 asks for that too (API reference, AbortMultipartUpload). Never throws.
   */
  async leave(): Promise<void> {
    const cut = this.#flying.size > 0;
    await Promise.allSettled(this.#flying);
    const UploadId = await this.#id?.catch(() => undefined);
    if (UploadId === undefined) return;
    for (let told = 1; (await this.#forget(UploadId)) && cut && told < TELLINGS; told += 1)
      await this.#writing.caller.host.clock.sleep(BETWEEN);
  }

  /** @returns whether the store knew of the upload, and has let go of it */
  async #forget(UploadId: string): Promise<boolean> {
    const { caller, key } = this.#writing;
    const make = (sdk: typeof import('@aws-sdk/client-s3')) => new sdk.AbortMultipartUploadCommand({ ...this.#object, UploadId });
    return caller.call('AbortMultipartUpload', make, { key }).then(
      () => true,
      () => false,
    );
  }

  #inOrder(): [number, Part][] {
    const parts = [...this.#sent].sort(([a], [b]) => a - b);
    const odd = parts.findIndex(([n, { bytes }], at) => n !== at || (at < parts.length - 1 && bytes !== BLOCK));
    if (odd >= 0) throw new BkpError('failed', `${this.#writing.key} has a hole or a short block at block ${odd}`);
    return parts;
  }

  async #part(n: number, bytes: Buffer, sha256: string): Promise<void> {
    this.#id ??= this.#begin();
    const UploadId = await this.#id;
    const { caller, hold } = this.#writing;
    const proof = hold ? { ContentMD5: md5(bytes) } : {};
    const { ETag } = await caller.call(
      'UploadPart',
      sdk =>
        new sdk.UploadPartCommand({ ...this.#object, UploadId, PartNumber: n + 1, Body: bytes, ContentLength: bytes.length, ...proof }),
      { ...this.#about, bytes: bytes.length, sha256 },
    );
    if (!ETag) throw caller.fault('UploadPart', 'the answer is not one of S3: it has no ETag', this.#writing.key);
    this.#sent.set(n, { etag: ETag, bytes: bytes.length });
  }

  /** Not ended by the signal: an id that nobody learnt could not be given up. */
  async #begin(): Promise<string> {
    const { caller, key, token, hold } = this.#writing;
    const { UploadId } = await caller.call(
      'CreateMultipartUpload',
      sdk => new sdk.CreateMultipartUploadCommand({ ...this.#object, Metadata: { [TOKEN]: token }, ...lockFields(hold) }),
      { key },
    );
    if (!UploadId) throw caller.fault('CreateMultipartUpload', 'the answer is not one of S3: it has no UploadId', key);
    return UploadId;
  }

  get #object(): { Bucket: string; Key: string } {
    return { Bucket: this.#writing.caller.settings.bucket, Key: this.#writing.key };
  }

  get #about(): CallOptions {
    return { key: this.#writing.key, signal: this.#writing.signal };
  }
}
