import type { Readable } from 'node:stream';
import type * as Sdk from '@aws-sdk/client-s3';
import type { Bytes } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { owned } from '../../../core/spent.ts';
import { timely } from '../../../flow/timely.ts';
import type { Caller, Held } from './caller.ts';
import { StoreFault } from './errors.ts';
import { look } from './look.ts';
import { backOff } from './retry.ts';

const GET = 'GetObject';

export interface Range {
  from: number;
  /** Exclusive. */
  to?: number;
}

/** What one answer of GetObject promised. */
interface Part {
  body: Readable;
  /** The byte of the object after the last one of this answer; undefined when the answer has no length. */
  end?: number;
  etag?: string;
  done(): void;
}

/** One object, or a range of it, read over as many requests as it takes. */
class Reading {
  readonly #caller: Caller;
  readonly #key: string;
  readonly #range: Range;
  #at: number;
  #etag: string | undefined;
  #failures = 0;

  constructor(caller: Caller, key: string, range: Range) {
    this.#caller = caller;
    this.#key = key;
    this.#range = range;
    this.#at = range.from;
  }

  async *bytes(): Bytes {
    const idle = this.#caller.settings.idleTimeout;
    for (;;) {
      const part = await this.#askInTime();
      if (part === 'silent') continue;
      if (!part) return;
      let why = 'the body ended early';
      try {
        for await (const chunk of timely(part.body, idle, () => new Error(`no byte came for ${idle / 1000} s`))) {
          this.#count(chunk, part.end);
          yield owned(chunk);
        }
      } catch (error) {
        if (error instanceof BkpError) throw error;
        why = (error as Error).message;
      } finally {
        part.body.destroy();
        part.done();
      }
      const end = part.end ?? (await this.#endByLook());
      if (this.#at === end) return;
      await this.#again(why, end);
    }
  }

  #count(chunk: Uint8Array, end: number | undefined): void {
    this.#at += chunk.length;
    this.#failures = 0;
    if (end !== undefined && this.#at > end) throw this.#bad(`more bytes came than the ${end - this.#range.from} that were announced`);
  }

  /** The head of an answer has to come in time as well: the client leaves that to us, since it cannot tell it from a slow reader. */
  async #askInTime(): Promise<Part | 'silent' | undefined> {
    const idle = this.#caller.settings.idleTimeout;
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), idle);
    try {
      return await this.#ask(silence.signal);
    } catch (error) {
      if (!silence.signal.aborted) throw error;
      await this.#again(`no answer came for ${idle / 1000} s`, this.#range.to);
      return 'silent';
    } finally {
      clearTimeout(timer);
    }
  }

  /** Undefined when the range begins at the object's end or after it. */
  async #ask(signal: AbortSignal): Promise<Part | undefined> {
    const { Bucket, Key } = { Bucket: this.#caller.settings.bucket, Key: this.#key };
    const Range = this.#header();
    try {
      const make = (sdk: typeof Sdk) => new sdk.GetObjectCommand({ Bucket, Key, ...(Range === undefined ? {} : { Range }) });
      return this.#part(await this.#caller.held(GET, make, { key: Key, patient: true, signal }), Range !== undefined);
    } catch (error) {
      if (error instanceof StoreFault && error.fault.status === 416 && this.#at === this.#range.from) return undefined;
      throw error;
    }
  }

  #header(): string | undefined {
    const { to } = this.#range;
    if (this.#at === 0 && to === undefined) return undefined;
    return `bytes=${this.#at}-${to === undefined ? '' : to - 1}`;
  }

  #part({ output, done }: Held<Sdk.GetObjectCommandOutput>, ranged: boolean): Part {
    const body = output.Body as Readable;
    try {
      const end = this.#endOf(output, ranged);
      this.#sameAsBefore(output.ETag);
      return { body, done, ...(end === undefined ? {} : { end }) };
    } catch (error) {
      body.destroy();
      done();
      throw error;
    }
  }

  #endOf({ ContentRange, ContentLength }: Sdk.GetObjectCommandOutput, ranged: boolean): number | undefined {
    if (!ranged || (ContentLength === 0 && ContentRange === undefined))
      return ContentLength === undefined ? undefined : this.#at + ContentLength;
    const [, from, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(ContentRange ?? '') ?? [];
    const end = Number(last) + 1;
    const wanted = Math.min(this.#range.to ?? Number.POSITIVE_INFINITY, total === '*' ? end : Number(total));
    if (Number(from) !== this.#at || (ContentLength !== undefined && ContentLength !== end - this.#at) || end !== wanted)
      throw this.#bad(`bytes from ${this.#at} were asked for, and the answer is for ${ContentRange ?? 'the whole object'}`);
    return end;
  }

  #sameAsBefore(etag: string | undefined): void {
    if (this.#etag !== undefined && etag !== this.#etag) throw this.#bad('it was replaced while it was read');
    this.#etag = etag;
  }

  /** Without a length, the end of the connection looks like the end of the body. */
  async #endByLook(): Promise<number> {
    const seen = await look(this.#caller, this.#key);
    if (!seen) throw this.#bad('it went away while it was read');
    return Math.min(this.#range.to ?? Number.POSITIVE_INFINITY, seen.info.bytes);
  }

  async #again(why: string, end: number | undefined): Promise<void> {
    const { settings, host } = this.#caller;
    this.#failures += 1;
    if (this.#failures > settings.retries)
      throw this.#caller.fault(
        GET,
        `${why} at byte ${this.#at}${end === undefined ? '' : ` of ${end}`}, ${this.#failures} times`,
        this.#key,
      );
    await host.clock.sleep(backOff(this.#failures - 1, host.random));
  }

  #bad(why: string): BkpError {
    return new BkpError('verifyFailed', `object ${this.#key} in ${this.#caller.where}: ${why}`);
  }
}

/**
 * The bytes of an object, or of a range of it. A body that breaks or stalls is taken up again from the byte where it was; its ETag has
 * to be the same then.
 * @throws StoreFault ('notFound' when the key is absent); BkpError('verifyFailed') when what comes cannot be that object
 */
export const readObject = (caller: Caller, key: string, range: Range): Bytes => new Reading(caller, key, range).bytes();
