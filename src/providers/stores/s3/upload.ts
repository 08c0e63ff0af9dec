import { createHash } from 'node:crypto';
import type { ObjectInfo, Upload } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { Caller, CallOptions } from './caller.ts';
import { StoreFault } from './errors.ts';
import { look, type Seen, TOKEN } from './look.ts';
import { removeVersion } from './remove.ts';

/** Bytes of a part. */
export const BLOCK = 16 * 1024 * 1024;
/** Parts of one object at most, in any S3. */
const PARTS = 10_000;

interface Part {
  etag: string;
  bytes: number;
}

/** An object that is shorter than a block goes in one request, any other in parts of one block. */
export class S3Upload implements Upload {
  readonly #caller: Caller;
  readonly #key: string;
  readonly #ifAbsent: boolean;
  readonly #token: string;
  readonly #parts = new Map<number, Part>();
  readonly #flying = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #whole: { bytes: Buffer; sha256: string } | undefined;
  #id: Promise<string> | undefined;
  #aborted: Promise<void> | undefined;
  #published = false;

  constructor(caller: Caller, key: string, ifAbsent: boolean) {
    this.#caller = caller;
    this.#key = key;
    this.#ifAbsent = ifAbsent;
    this.#token = caller.host.random(16).toString('hex');
  }

  async block(n: number, bytes: Buffer, sha256: string): Promise<void> {
    if (n === 0 && bytes.length < BLOCK) return this.#keep(bytes, sha256);
    if (n >= PARTS) {
      throw new BkpError('failed', `${this.#key} would have more than ${PARTS} parts of ${BLOCK} bytes, and no S3 store takes that`);
    }
    if (this.#aborted) throw this.#gone();
    const flight = this.#part(n, bytes, sha256).finally(() => this.#flying.delete(flight));
    this.#flying.add(flight);
    return flight;
  }

  async commit(): Promise<ObjectInfo> {
    if (this.#aborted) throw this.#gone();
    const { bytes, publish } = this.#id ? this.#inParts() : this.#inOne();
    try {
      const failure = await publish().then(
        () => undefined,
        error => error as unknown,
      );
      const info = await this.#settle(bytes, failure);
      this.#published = true;
      this.#whole = undefined;
      return info;
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  abort(): Promise<void> {
    this.#aborted ??= this.#leave();
    return this.#aborted;
  }

  /** The buffer may be used again at once, so a copy is kept; small objects are the only ones that are copied. */
  #keep(bytes: Buffer, sha256: string): void {
    const copy = Buffer.from(bytes);
    if (createHash('sha256').update(copy).digest('hex') !== sha256)
      throw new BkpError(
        'verifyFailed',
        `block 0 of ${this.#key} does not have the SHA-256 that was announced to store ${this.#caller.name}`,
      );
    this.#whole = { bytes: copy, sha256 };
  }

  async #part(n: number, bytes: Buffer, sha256: string): Promise<void> {
    this.#id ??= this.#begin();
    const UploadId = await this.#id;
    const { ETag } = await this.#caller.call(
      'UploadPart',
      sdk => new sdk.UploadPartCommand({ ...this.#object, UploadId, PartNumber: n + 1, Body: bytes, ContentLength: bytes.length }),
      { ...this.#about, bytes: bytes.length, sha256 },
    );
    if (!ETag) throw this.#caller.fault('UploadPart', 'the answer is not one of S3: it has no ETag', this.#about);
    this.#parts.set(n, { etag: ETag, bytes: bytes.length });
  }

  /** Not stopped by an abort: an id that nobody learnt could not be given up. */
  async #begin(): Promise<string> {
    const { UploadId } = await this.#caller.call(
      'CreateMultipartUpload',
      sdk => new sdk.CreateMultipartUploadCommand({ ...this.#object, Metadata: { [TOKEN]: this.#token } }),
      { key: this.#key },
    );
    if (!UploadId) throw this.#caller.fault('CreateMultipartUpload', 'the answer is not one of S3: it has no UploadId', this.#about);
    return UploadId;
  }

  #inOne(): { bytes: number; publish: () => Promise<void> } {
    const { bytes, sha256 } = this.#whole ?? { bytes: Buffer.alloc(0), sha256: createHash('sha256').digest('hex') };
    return { bytes: bytes.length, publish: () => this.#put(bytes, sha256) };
  }

  async #put(bytes: Buffer, sha256: string): Promise<void> {
    await this.#guarded(async condition => {
      await this.#caller.call(
        'PutObject',
        sdk =>
          new sdk.PutObjectCommand({
            ...this.#object,
            ...condition,
            Body: bytes,
            ContentLength: bytes.length,
            Metadata: { [TOKEN]: this.#token },
          }),
        { ...this.#about, bytes: bytes.length, sha256 },
      );
    });
  }

  #inParts(): { bytes: number; publish: () => Promise<void> } {
    const parts = [...this.#parts].sort(([a], [b]) => a - b);
    const bytes = parts.reduce((sum, [, part]) => sum + part.bytes, 0);
    return { bytes, publish: () => this.#complete(parts) };
  }

  async #complete(parts: readonly (readonly [number, Part])[]): Promise<void> {
    const odd = parts.findIndex(([n, { bytes }], at) => n !== at || (at < parts.length - 1 && bytes !== BLOCK));
    if (this.#whole || odd >= 0) throw new BkpError('failed', `${this.#key} has a hole or a short block at block ${this.#whole ? 0 : odd}`);
    const UploadId = await this.#id!;
    const MultipartUpload = { Parts: parts.map(([n, { etag }]) => ({ PartNumber: n + 1, ETag: etag })) };
    await this.#guarded(async condition => {
      await this.#caller.call(
        'CompleteMultipartUpload',
        sdk => new sdk.CompleteMultipartUploadCommand({ ...this.#object, ...condition, UploadId, MultipartUpload }),
        { ...this.#about, patient: true },
      );
    });
  }

  /**
   * With `ifAbsent`: first a look, then a condition that the store checks at the very moment. Not every store knows it; one that
   * ignores it leaves the short time between the two open.
   */
  async #guarded(publish: (condition: { IfNoneMatch?: string }) => Promise<void>): Promise<void> {
    if (!this.#ifAbsent) return publish({});
    if (await look(this.#caller, this.#key)) throw this.#taken();
    if (!this.#caller.conditional) return publish({});
    try {
      await publish({ IfNoneMatch: '*' });
    } catch (error) {
      if (!(error instanceof StoreFault && error.fault.status === 501)) throw error;
      this.#caller.conditional = false;
      await publish({});
    }
  }

  /** The store has to show our object at its size. That also settles a request whose answer was lost. */
  async #settle(bytes: number, failure: unknown): Promise<ObjectInfo> {
    if (failure !== undefined && !isOpen(failure)) throw failure;
    const seen = await look(this.#caller, this.#key).catch(error => Promise.reject(failure ?? error));
    if (!seen) throw failure ?? this.#caller.fault('HeadObject', 'the store does not show it after it was written', this.#about);
    if (seen.token === this.#token || (seen.token === undefined && failure === undefined)) return this.#ofSize(seen, bytes);
    throw this.#ifAbsent ? this.#taken(failure) : (failure ?? this.#overtaken());
  }

  async #ofSize(seen: Seen, bytes: number): Promise<ObjectInfo> {
    if (seen.info.bytes === bytes) return seen.info;
    await removeVersion(this.#caller, this.#key, seen.version).catch(() => {});
    throw this.#caller.fault('HeadObject', `the store shows it with ${seen.info.bytes} bytes, and ${bytes} were sent`, this.#about);
  }

  #gone(): BkpError {
    return new BkpError('failed', `the upload of ${this.#key} to store ${this.#caller.name} was given up`);
  }

  #taken(cause?: unknown): BkpError {
    return new BkpError('conflict', `store ${this.#caller.name} has an object ${this.#key} already, and it is never overwritten`, {
      cause,
    });
  }

  #overtaken(): BkpError {
    return new BkpError('conflict', `someone else wrote ${this.#key} in store ${this.#caller.name} at the same time, and was the last`);
  }

  async #leave(): Promise<void> {
    if (this.#published) return;
    this.#stop.abort();
    this.#whole = undefined;
    await Promise.allSettled(this.#flying);
    const UploadId = await this.#id?.catch(() => undefined);
    if (UploadId === undefined) return;
    await this.#caller
      .call('AbortMultipartUpload', sdk => new sdk.AbortMultipartUploadCommand({ ...this.#object, UploadId }), { key: this.#key })
      .catch(() => {});
  }

  get #object(): { Bucket: string; Key: string } {
    return { Bucket: this.#caller.settings.bucket, Key: this.#key };
  }

  get #about(): CallOptions & { key: string } {
    return { key: this.#key, signal: this.#stop.signal };
  }
}

/** Whether a request that failed may have been carried out all the same, or by an earlier try. */
function isOpen(error: unknown): boolean {
  if (!(error instanceof StoreFault)) return false;
  const { status = 0, again } = error.fault;
  return again !== 'never' || status === 404 || status === 409 || status === 412;
}
