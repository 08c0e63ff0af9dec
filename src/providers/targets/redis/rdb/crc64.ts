/** The reflected form of the Jones polynomial, which Redis and Valkey use (crc64.c); low and high half. */
const POLY = { lo: 0xac4bc9b5 | 0, hi: 0x95ac9329 | 0 };

/** Eight tables of 256 entries each, so that eight bytes are taken at a time; low halves and high halves apart. */
const LO = new Int32Array(8 * 256);
const HI = new Int32Array(8 * 256);

function fillFirst(): void {
  for (let n = 0; n < 256; n += 1) {
    let [lo, hi] = [n, 0];
    for (let bit = 0; bit < 8; bit += 1) {
      const odd = lo & 1;
      lo = (lo >>> 1) | (hi << 31);
      hi >>>= 1;
      if (odd) [lo, hi] = [lo ^ POLY.lo, hi ^ POLY.hi];
    }
    LO[n] = lo;
    HI[n] = hi;
  }
}

function fillOthers(): void {
  for (let n = 256; n < LO.length; n += 1) {
    const [lo, hi] = [LO[n - 256]!, HI[n - 256]!];
    LO[n] = ((lo >>> 8) | (hi << 24)) ^ LO[lo & 255]!;
    HI[n] = (hi >>> 8) ^ HI[lo & 255]!;
  }
}

fillFirst();
fillOthers();

/** The checksum at the end of an RDB, built up chunk by chunk: 64 bits, starting from 0, without a final change. */
export class Crc64 {
  #lo = 0;
  #hi = 0;

  /** Takes in bytes `from` to `to` (exclusive) of a chunk. */
  update(bytes: Uint8Array, from = 0, to = bytes.length): void {
    let [lo, hi] = [this.#lo, this.#hi];
    let at = from;
    for (const whole = to - 7; at < whole; at += 8) {
      const a = 1792 + ((lo ^ bytes[at]!) & 255);
      const b = 1536 + (((lo >>> 8) ^ bytes[at + 1]!) & 255);
      const c = 1280 + (((lo >>> 16) ^ bytes[at + 2]!) & 255);
      const d = 1024 + ((lo >>> 24) ^ bytes[at + 3]!);
      const e = 768 + ((hi ^ bytes[at + 4]!) & 255);
      const f = 512 + (((hi >>> 8) ^ bytes[at + 5]!) & 255);
      const g = 256 + (((hi >>> 16) ^ bytes[at + 6]!) & 255);
      const h = (hi >>> 24) ^ bytes[at + 7]!;
      lo = LO[a]! ^ LO[b]! ^ LO[c]! ^ LO[d]! ^ LO[e]! ^ LO[f]! ^ LO[g]! ^ LO[h]!;
      hi = HI[a]! ^ HI[b]! ^ HI[c]! ^ HI[d]! ^ HI[e]! ^ HI[f]! ^ HI[g]! ^ HI[h]!;
    }
    for (; at < to; at += 1) {
      const n = (lo ^ bytes[at]!) & 255;
      lo = ((lo >>> 8) | (hi << 24)) ^ LO[n]!;
      hi = (hi >>> 8) ^ HI[n]!;
    }
    this.#lo = lo;
    this.#hi = hi;
  }

  /** What it is now, as an RDB ends with it: eight bytes, the lowest first. */
  digest(): Buffer {
    const out = Buffer.alloc(8);
    out.writeInt32LE(this.#lo, 0);
    out.writeInt32LE(this.#hi, 4);
    return out;
  }
}
