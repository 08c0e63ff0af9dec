import pMap from 'p-map';
import type { Access, Bytes, Check, ObjectInfo, PerItem, Powers, PutOptions, Store, StoreLock, Upload } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { checkKey, joinKey } from '../../../core/key.ts';
import type { StoreHost } from '../host.ts';
import { Caller } from './caller.ts';
import { clockCheck } from './clock.ts';
import { lifecycle, lockChecks } from './doctor.ts';
import { BLOCK } from './limits.ts';
import { type BucketLock, bucketLock, lasts, lockless, setHold, storeNow, untilOf } from './lock.ts';
import { isAbsent, look } from './look.ts';
import { isSize, objects, uploads, versions } from './pages.ts';
import { probe } from './powers.ts';
import { type Range, readObject } from './read.ts';
import { purgeHidden, removeKey } from './remove.ts';
import type { Settings } from './settings.ts';
import { S3Upload } from './upload.ts';
import { withstand } from './withstand.ts';

/** One bucket of a service that speaks S3. Nothing is loaded or sent before the first call. */
export class S3Store implements Store {
  readonly name: string;
  readonly blockBytes = BLOCK;
  readonly #caller: Caller;
  #powers: Promise<Powers> | undefined;
  #bucket: Promise<void> | undefined;
  #locks: Promise<BucketLock | undefined> | undefined;

  constructor(name: string, settings: Settings, host: StoreHost) {
    this.name = name;
    this.#caller = new Caller(name, settings, host);
  }

  access(): Access {
    const { endpoint, region, bucket, accessKey, secretKey, pathStyle, ca, proxy } = this.#caller.settings;
    const how = { ...(ca === undefined ? {} : { ca }), ...(proxy === undefined ? {} : { proxy }) };
    return { kind: 's3', endpoint, region, bucket, accessKey, secretKey, pathStyle, ...how };
  }

  powers(): Promise<Powers> {
    this.#powers ??= this.#probe().catch(error => {
      this.#powers = undefined;
      throw error;
    });
    return this.#powers;
  }

  get lock(): StoreLock | undefined {
    const { lock } = this.#caller.settings;
    return lock && { mode: lock.mode === 'COMPLIANCE' ? 'compliance' : 'governance', ms: lock.ms };
  }

  async open(key: string, { ifAbsent = false, lasting = false }: PutOptions = {}): Promise<Upload> {
    const { lock } = this.#caller.settings;
    checkKey(key);
    if (!lock || !lasting) return new S3Upload(this.#caller, key, { ifAbsent });
    if ((await this.#bucketLock())?.enabled === false) throw lockless(this.#caller);
    return new S3Upload(this.#caller, key, { ifAbsent, hold: { mode: lock.mode, until: untilOf(this.#caller, lock) } });
  }

  async heldUntil(key: string): Promise<Date | undefined> {
    const until = (await look(this.#caller, checkKey(key)))?.hold?.until;
    return until && until > storeNow(this.#caller) ? until : undefined;
  }

  hold(keys: readonly string[], until: Date): Promise<PerItem[]> {
    return pMap(keys, key => this.#hold(checkKey(key), until), { concurrency: this.#caller.settings.connections });
  }

  withstand(base: string): Promise<Check> {
    return withstand(this.#caller, joinKey(base, 'doctor', `canary-${this.#caller.host.random(8).toString('hex')}`));
  }

  async *get(key: string, range: Range = { from: 0 }): Bytes {
    checkKey(key);
    if (range.to !== undefined && range.to <= range.from) await this.#mustBe(key);
    else yield* this.#reading(key, range);
  }

  async stat(key: string): Promise<ObjectInfo | undefined> {
    const seen = await look(this.#caller, checkKey(key));
    if (!seen) await this.#bucketIsThere();
    return seen?.info;
  }

  /** The order is the store's: S3 lists by key, and nothing here relies on it. */
  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    for await (const page of objects(this.#caller, prefix)) {
      for (const { Key, Size, LastModified } of page) {
        if (!Key || !LastModified || !isSize(Size)) throw this.#caller.fault('ListObjectsV2', 'the answer is not one of S3', `${prefix}*`);
        if (Key.startsWith(prefix)) yield { key: Key, bytes: Size, modified: LastModified };
      }
    }
  }

  async remove(keys: readonly string[]): Promise<PerItem[]> {
    const hides = this.#caller.settings.versions === 'hide';
    const locks = hides && (await this.#bucketLock())?.enabled !== false;
    return pMap(keys, key => removeKey(this.#caller, key, { locks }), { concurrency: this.#caller.settings.connections });
  }

  async sweep(prefix: string, before: Date): Promise<PerItem[]> {
    const stale: { Key: string; UploadId: string }[] = [];
    for await (const { Key, UploadId, Initiated } of uploads(this.#caller, prefix))
      if (Key?.startsWith(prefix) && UploadId && Initiated && Initiated < before) stale.push({ Key, UploadId });
    return pMap(stale, upload => this.#giveUp(upload), { concurrency: this.#caller.settings.connections });
  }

  async hidden(prefix: string): Promise<{ objects: number; bytes: number }> {
    const sum = { objects: 0, bytes: 0 };
    for await (const { key, bytes, marker, latest } of versions(this.#caller, prefix)) {
      if (!key.startsWith(prefix) || (latest && !marker)) continue;
      sum.objects += 1;
      sum.bytes += bytes;
    }
    return sum;
  }

  async purge(prefix: string): Promise<PerItem[]> {
    return purgeHidden(this.#caller, prefix);
  }

  async *doctor(base: string): AsyncGenerator<Check> {
    yield* lockChecks(this.#caller);
    yield* lifecycle(this.name, this.#caller, base);
    if (this.#caller.ahead !== undefined) yield clockCheck(this.#caller);
  }

  async *#reading(key: string, range: Range): Bytes {
    try {
      yield* readObject(this.#caller, key, range);
    } catch (error) {
      throw isAbsent(error) ? this.#absent(key, error) : error;
    }
  }

  async #mustBe(key: string): Promise<void> {
    if (!(await this.stat(key))) throw this.#absent(key);
  }

  #absent(key: string, cause?: unknown): BkpError {
    return new BkpError('notFound', `store ${this.name} has no object ${key}`, { cause });
  }

  /** HEAD says 404 for a key and for a bucket alike; only a listing tells which. Asked once. Throws StoreFault. */
  #bucketIsThere(): Promise<void> {
    this.#bucket ??= this.#askForBucket().catch(error => {
      this.#bucket = undefined;
      throw error;
    });
    return this.#bucket;
  }

  async #askForBucket(): Promise<void> {
    const { bucket } = this.#caller.settings;
    const { prefix } = this.#caller.host;
    await this.#caller.call(
      'ListObjectsV2',
      sdk => new sdk.ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1, ...(prefix === '' ? {} : { Prefix: `${prefix}/` }) }),
    );
  }

  /** Asked once. Throws StoreFault. */
  #bucketLock(): Promise<BucketLock | undefined> {
    this.#locks ??= bucketLock(this.#caller).catch(error => {
      this.#locks = undefined;
      throw error;
    });
    return this.#locks;
  }

  /** A mode that is there stays: a stricter one would want rights that a backup should not have. */
  async #hold(key: string, until: Date): Promise<PerItem> {
    try {
      const seen = await look(this.#caller, key);
      if (!seen) return { key, ok: false, reason: 'it is not there' };
      if (lasts(seen.hold, until)) return { key, ok: true };
      const mode = seen.hold?.mode ?? this.#caller.settings.lock?.mode ?? 'GOVERNANCE';
      await setHold(this.#caller, { key, version: seen.version, hold: { mode, until } });
      return { key, ok: true };
    } catch (error) {
      return { key, ok: false, reason: (error as Error).message };
    }
  }

  #probe(): Promise<Powers> {
    const { prefix, random } = this.#caller.host;
    return probe(this.#caller, `${prefix === '' ? '' : `${prefix}/`}probes/${random(16).toString('hex')}`);
  }

  async #giveUp({ Key, UploadId }: { Key: string; UploadId: string }): Promise<PerItem> {
    const { bucket: Bucket } = this.#caller.settings;
    try {
      await this.#caller.call('AbortMultipartUpload', sdk => new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }), { key: Key });
      return { key: Key, ok: true };
    } catch (error) {
      if (isAbsent(error)) return { key: Key, ok: true };
      return { key: Key, ok: false, reason: (error as Error).message };
    }
  }
}
