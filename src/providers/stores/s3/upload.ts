import { createHash } from 'node:crypto';
import type { ObjectInfo, Upload } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { Caller } from './caller.ts';
import { StoreFault } from './errors.ts';
import { BLOCK } from './limits.ts';
import { lasts, md5, setHold } from './lock.ts';
import { look, type Seen, TOKEN } from './look.ts';
import { lockFields, Parts, type Writing } from './parts.ts';
import { removeVersion } from './remove.ts';
import type { Hold } from './settings.ts';

/** An object that is shorter than a block goes in one request, any other in parts of one block. */
export class S3Upload implements Upload {
  readonly #writing: Writing;
  readonly #ifAbsent: boolean;
  readonly #parts: Parts;
  readonly #stop = new AbortController();
  #whole: { bytes: Buffer; sha256: string } | undefined;
  #aborted: Promise<void> | undefined;
  #published = false;

  constructor(caller: Caller, key: string, options: { ifAbsent: boolean; hold?: Hold }) {
    const { ifAbsent, ...held } = options;
    this.#writing = { caller, key, token: caller.host.random(16).toString('hex'), signal: this.#stop.signal, ...held };
    this.#ifAbsent = ifAbsent;
    this.#parts = new Parts(this.#writing);
  }

  async block(n: number, bytes: Buffer, sha256: string): Promise<void> {
    if (this.#aborted) throw this.#gone();
    if (n === 0 && bytes.length < BLOCK) this.#keep(bytes, sha256);
    else await this.#parts.send(n, bytes, sha256);
  }

  async commit(): Promise<ObjectInfo> {
    if (this.#aborted) throw this.#gone();
    try {
      const failure = await this.#publish().then(
        () => undefined,
        error => error as unknown,
      );
      const info = await this.#settle(failure);
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
    const { caller, key } = this.#writing;
    const copy = Buffer.from(bytes);
    if (createHash('sha256').update(copy).digest('hex') !== sha256)
      throw new BkpError('verifyFailed', `block 0 of ${key} does not have the SHA-256 that was announced to store ${caller.name}`);
    this.#whole = { bytes: copy, sha256 };
  }

  async #publish(): Promise<void> {
    if (this.#whole && this.#parts.any) throw new BkpError('failed', `${this.#writing.key} has a short block before others`);
    await this.#guarded(condition => (this.#parts.any ? this.#parts.complete(condition) : this.#put(condition)));
  }

  async #put(condition: { IfNoneMatch?: string }): Promise<void> {
    const { caller, key, token, signal, hold } = this.#writing;
    const { bytes, sha256 } = this.#whole ?? { bytes: Buffer.alloc(0), sha256: createHash('sha256').digest('hex') };
    const locked = hold ? { ContentMD5: md5(bytes), ...lockFields(hold) } : {};
    const Metadata = { [TOKEN]: token };
    const input = { Bucket: caller.settings.bucket, Key: key, ContentLength: bytes.length, Metadata, ...condition, ...locked };
    await caller.call('PutObject', sdk => new sdk.PutObjectCommand({ ...input, Body: bytes }), {
      key,
      signal,
      bytes: bytes.length,
      sha256,
    });
  }

  /**
   * With `ifAbsent`: first a look, then a condition that the store checks at the very moment. Not every store knows it; one that
   * ignores it leaves the short time between the two open.
   */
  async #guarded(publish: (condition: { IfNoneMatch?: string }) => Promise<void>): Promise<void> {
    const { caller, key } = this.#writing;
    if (!this.#ifAbsent) return publish({});
    if (await look(caller, key)) throw this.#taken();
    if (!caller.conditional) return publish({});
    try {
      await publish({ IfNoneMatch: '*' });
    } catch (error) {
      if (!(error instanceof StoreFault && error.fault.status === 501)) throw error;
      caller.conditional = false;
      await publish({});
    }
  }

  /** The store has to show our object at its size. That also settles a request whose answer was lost. */
  async #settle(failure: unknown): Promise<ObjectInfo> {
    const { caller, key, token } = this.#writing;
    if (failure !== undefined && !isOpen(failure)) throw failure;
    const seen = await look(caller, key).catch(error => Promise.reject(failure ?? error));
    if (!seen) throw failure ?? caller.fault('HeadObject', 'the store does not show it after it was written', key);
    if (seen.token === token || (seen.token === undefined && failure === undefined)) return this.#held(seen, await this.#ofSize(seen));
    throw this.#ifAbsent ? this.#taken(failure) : (failure ?? this.#overtaken());
  }

  async #ofSize({ info, version }: Seen): Promise<ObjectInfo> {
    const { caller, key } = this.#writing;
    const bytes = this.#whole?.bytes.length ?? this.#parts.bytes;
    if (info.bytes === bytes) return info;
    await removeVersion(caller, key, version).catch(() => {});
    throw caller.fault('HeadObject', `the store shows it with ${info.bytes} bytes, and ${bytes} were sent`, key);
  }

  /** Not every store takes the lock of an object in parts: where it does not show one, it is set, and looked at again. */
  async #held({ hold: shown, version }: Seen, info: ObjectInfo): Promise<ObjectInfo> {
    const { caller, key, hold } = this.#writing;
    if (!hold || lasts(shown, hold.until)) return info;
    try {
      await setHold(caller, { key, version, hold });
      if (lasts((await look(caller, key))?.hold, hold.until)) return info;
    } catch (error) {
      await removeVersion(caller, key, version).catch(() => {});
      throw error;
    }
    throw caller.fault('HeadObject', `the store does not show that it holds it until ${hold.until.toISOString()}`, key);
  }

  #gone(): BkpError {
    return new BkpError('failed', `the upload of ${this.#writing.key} to store ${this.#writing.caller.name} was given up`);
  }

  #taken(cause?: unknown): BkpError {
    const { caller, key } = this.#writing;
    return new BkpError('conflict', `store ${caller.name} has an object ${key} already, and it is never overwritten`, { cause });
  }

  #overtaken(): BkpError {
    const { caller, key } = this.#writing;
    return new BkpError('conflict', `someone else wrote ${key} in store ${caller.name} at the same time, and was the last`);
  }

  async #leave(): Promise<void> {
    if (this.#published) return;
    this.#stop.abort();
    this.#whole = undefined;
    await this.#parts.leave();
  }
}

/** Whether a request that failed may have been carried out all the same, or by an earlier try. */
function isOpen(error: unknown): boolean {
  if (!(error instanceof StoreFault)) return false;
  const { status = 0, again } = error.fault;
  return again !== 'never' || status === 404 || status === 409 || status === 412;
}
