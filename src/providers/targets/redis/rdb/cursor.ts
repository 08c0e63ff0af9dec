import { BkpError } from '../../../../core/errors.ts';
import { MODULE, NUMBER, SCORE, type Step, TEXT, TYPE } from './types.ts';

/** Not enough bytes yet: what was begun is tried again once more are there. */
const MORE = -1;

/** A text that is read and not passed over is kept until it is whole: the longest are scripts, which older servers put there. Bytes. */
const LONGEST = 16 << 20;

/** The parts of a module's value by their kind (RDB_MODULE_OPCODE_*): two kinds of whole numbers, two of others, text. */
const PARTS: readonly (readonly Step[])[] = [[], [NUMBER], [NUMBER], [4], [8], [TEXT]];

/** Of a module's type: nine letters of six bits each, before ten bits of its own version (module.c, moduleTypeNameByID). */
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const typeName = (id: bigint): string =>
  Array.from({ length: 9 }, (_, n) => LETTERS[Number((id >> BigInt(10 + 6 * (8 - n))) & 63n)]!).join('');

const corrupt = (what: string): BkpError => new BkpError('failed', `the dump is damaged: ${what}`);

/**
 * Walks through the bytes of an RDB as they come and passes over values without keeping them. Numbers and texts are as in rdb.c
 * (rdbLoadLenByRef, rdbGenericLoadStringObject).
 */
export class Cursor {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Bytes of the current text that are still to come. */
  #skip = 0;
  readonly #steps: (readonly Step[])[] = [];
  readonly #place: number[] = [];
  readonly #times: number[] = [];
  /** Types of modules that were passed. */
  readonly types = new Set<string>();
  /** The last number that `number` read, and how many bytes its form took. */
  value = 0;
  #coded = false;

  feed(chunk: Buffer): void {
    this.#bytes = this.#at === this.#bytes.length ? chunk : Buffer.concat([this.#bytes.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Lets go of the chunk: what is not read yet is copied. */
  rest(): void {
    this.#bytes = Buffer.from(this.#bytes.subarray(this.#at));
    this.#at = 0;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** A single byte, or -1 where there is none yet. */
  byte(): number {
    return this.#at < this.#bytes.length ? this.#bytes[this.#at++]! : MORE;
  }

  /** Takes so many bytes back. */
  back(bytes: number): void {
    this.#at -= bytes;
  }

  /** So many bytes, or undefined where they are not all there yet. */
  take(length: number): Buffer | undefined {
    if (this.left < length) return undefined;
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Reads a number into `value`. False where it is not all there yet. A form of a text is told by `#coded`. */
  number(): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    if (at >= bytes.length) return false;
    const first = bytes[at]!;
    this.#coded = first >= 192;
    if (first < 64 || this.#coded) {
      this.value = first & 63;
      this.#at = at + 1;
      return true;
    }
    const length = first < 128 ? 2 : first === 0x80 ? 5 : first === 0x81 ? 9 : 0;
    if (length === 0) throw corrupt(`no number begins with byte ${first}`);
    if (bytes.length - at < length) return false;
    if (length === 2) this.value = ((first & 63) << 8) | bytes[at + 1]!;
    else this.value = length === 5 ? bytes.readUInt32BE(at + 1) : Number(bytes.readBigUInt64BE(at + 1));
    this.#at = at + length;
    return true;
  }

  /** Passes the head of a text; its bytes are then skipped. */
  #text(): boolean {
    const at = this.#at;
    if (!this.number()) return false;
    if (!this.#coded) {
      this.#skip = this.value;
      return true;
    }
    if (this.value < 3) {
      this.#skip = 1 << this.value;
      return true;
    }
    if (this.value !== 3) throw corrupt(`a text is of form ${this.value}, and there is none such`);
    return this.#packed(at);
  }

  /** A text packed by LZF: its two lengths, then the shorter one of bytes. */
  #packed(at: number): boolean {
    if (this.number()) {
      const packed = this.value;
      if (this.number()) {
        this.#skip = packed;
        return true;
      }
    }
    this.#at = at;
    return false;
  }

  /** A whole text of an auxiliary field; undefined where it is not all there yet. */
  text(): string | undefined {
    const at = this.#at;
    if (!this.#text()) return undefined;
    const length = this.#skip;
    this.#skip = 0;
    if (length > LONGEST) throw corrupt(`a field of its head has ${length} bytes`);
    const whole = this.#coded;
    const value = this.value;
    const bytes = this.take(length);
    if (!bytes) this.#at = at;
    if (!bytes || !whole || value > 2) return bytes?.toString('latin1');
    return String(bytes.readIntLE(0, length));
  }

  /** Sets out to pass what the steps say; `pass` does it. */
  begin(steps: readonly Step[], times = 1): void {
    if (times === 0) return;
    this.#steps.push(steps);
    this.#place.push(0);
    this.#times.push(times);
  }

  /** Goes on passing. True once all that was begun is behind; false where bytes are wanting. */
  pass(): boolean {
    for (;;) {
      if (this.#skip > 0 && !this.#skipped()) return false;
      const depth = this.#steps.length - 1;
      if (depth < 0) return true;
      const steps = this.#steps[depth]!;
      const place = this.#place[depth]!;
      if (place === steps.length) this.#again(depth);
      else {
        // The place moves first: a list within pushes its own.
        this.#place[depth] = place + 1;
        if (!this.#step(steps[place]!)) {
          this.#place[depth] = place;
          return false;
        }
      }
    }
  }

  #skipped(): boolean {
    const step = Math.min(this.#skip, this.left);
    this.#at += step;
    this.#skip -= step;
    return this.#skip === 0;
  }

  #again(depth: number): void {
    this.#times[depth]! -= 1;
    this.#place[depth] = 0;
    if (this.#times[depth]! > 0) return;
    this.#steps.pop();
    this.#place.pop();
    this.#times.pop();
  }

  #step(step: Step): boolean {
    if (step === TEXT) return this.#text();
    if (step === NUMBER) return this.number();
    if (step === SCORE) return this.#score();
    if (step === MODULE) return this.#module();
    if (step === TYPE) return this.#type();
    if (typeof step === 'number') {
      this.#skip = step;
      return true;
    }
    if (!this.number()) return false;
    this.begin(step, this.value);
    return true;
  }

  /** A length of 253 to 255 means not a number, or an infinity, and nothing follows. */
  #score(): boolean {
    const length = this.byte();
    if (length === MORE) return false;
    this.#skip = length < 253 ? length : 0;
    return true;
  }

  /** Sixty-four bits, which `value` does not hold to the last. */
  #type(): boolean {
    const at = this.#at;
    if (!this.number()) return false;
    this.types.add(typeName(this.#at - at === 9 ? this.#bytes.readBigUInt64BE(at + 1) : BigInt(this.value)));
    return true;
  }

  /** One part of a module's value: what kind it is, and then it; 0 ends it, and until then this step is not over. */
  #module(): boolean {
    if (!this.number()) return false;
    const part = PARTS[this.value];
    if (!part) throw corrupt(`a module's value has a part of kind ${this.value}, and there is none such`);
    if (this.value === 0) return true;
    this.#place[this.#place.length - 1]! -= 1;
    this.begin(part);
    return true;
  }
}
