import { BkpError } from '../core/errors.ts';

/** A member's header, as a tar stream shows it. */
export interface Member {
  name: string;
  bytes: number;
  /** tar's type flag: '0' file, '5' directory, '2' symbolic link … */
  type: string;
  /** What a link leads to; empty for everything else. */
  link: string;
}

const BLOCK = 512;
const text = (block: Buffer, from: number, to: number): string => {
  const field = block.subarray(from, to);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? field.length : end).toString('utf8');
};

/** Sizes are octal, or base 256 when the first bit is set (files of 8 GiB and more). */
const sizeOf = (block: Buffer): number => {
  if ((block[124]! & 0x80) !== 0) return Number(block.readBigUInt64BE(128));
  const digits = text(block, 124, 136).trim();
  return /^[0-7]*$/.test(digits) ? Number.parseInt(digits || '0', 8) : Number.NaN;
};

const memberOf = (block: Buffer): Member => {
  const prefix = block[345] === 0 ? '' : text(block, 345, 500);
  const name = text(block, 0, 100);
  return {
    name: prefix ? `${prefix}/${name}` : name,
    bytes: sizeOf(block),
    type: String.fromCharCode(block[156] || 48),
    link: text(block, 157, 257),
  };
};

const checksumHolds = (block: Buffer): boolean => {
  let sum = 8 * 32;
  for (let i = 0; i < 148; i += 1) sum += block[i]!;
  for (let i = 156; i < BLOCK; i += 1) sum += block[i]!;
  return sum === Number.parseInt(text(block, 148, 156).trim(), 8);
};

const isZero = (block: Buffer): boolean => block[0] === 0 && block.every(byte => byte === 0);

/** Refuses what no base backup contains: `..`, absolute names, links out of the directory, devices. */
export function checkMember(member: Member): void {
  const parts = member.name.split('/');
  if (member.name.startsWith('/') || parts.includes('..'))
    throw new BkpError('verifyFailed', `the archive has a member "${member.name}", which leads out of the target directory`);
  if (!['0', '5'].includes(member.type))
    throw new BkpError('verifyFailed', `the archive has a member "${member.name}" of type "${member.type}", which no base backup has`);
}

/** Follows a tar stream in chunks of any size, calls `onMember` per header and passes the bytes of members wanted by `keep`. */
export class TarScan {
  #header: Buffer = Buffer.alloc(0);
  #skip = 0;
  /** Bytes of the member's own that are to come. */
  #left = 0;
  #zeroBlocks = 0;
  #keeping: { name: string; left: number; chunks: Buffer[] } | undefined;
  readonly kept = new Map<string, Buffer>();
  readonly onMember: (member: Member) => void;
  readonly keep: (member: Member) => boolean;
  readonly #onBytes: ((bytes: Buffer) => void) | undefined;

  /** @param onBytes gets the contents of each member, in pieces, after its header; they are valid for the time of the call */
  constructor(onMember: (member: Member) => void, keep: (member: Member) => boolean = () => false, onBytes?: (bytes: Buffer) => void) {
    this.onMember = onMember;
    this.keep = keep;
    this.#onBytes = onBytes;
  }

  /** True once the two zero blocks that end every archive have passed: a cut archive never has them. */
  get ended(): boolean {
    return this.#zeroBlocks >= 2;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        if (this.#keeping) this.#take(chunk.subarray(at, at + step));
        this.#tell(chunk.subarray(at, at + step));
        this.#skip -= step;
        at += step;
        continue;
      }
      const step = Math.min(BLOCK - this.#header.length, chunk.length - at);
      const seen = chunk.subarray(at, at + step);
      this.#header = step === BLOCK ? seen : Buffer.concat([this.#header, seen]);
      at += step;
      if (this.#header.length === BLOCK) this.#read();
    }
  }

  /** Without what fills the last block. */
  #tell(bytes: Buffer): void {
    const own = bytes.subarray(0, Math.min(this.#left, bytes.length));
    this.#left -= own.length;
    if (own.length > 0) this.#onBytes?.(own);
  }

  #take(bytes: Buffer): void {
    const keeping = this.#keeping;
    if (!keeping) return;
    keeping.chunks.push(Buffer.from(bytes.subarray(0, Math.min(keeping.left, bytes.length))));
    keeping.left -= Math.min(keeping.left, bytes.length);
    if (keeping.left > 0) return;
    this.kept.set(keeping.name, Buffer.concat(keeping.chunks));
    this.#keeping = undefined;
  }

  #read(): void {
    const block = this.#header;
    this.#header = Buffer.alloc(0);
    if (isZero(block)) {
      this.#zeroBlocks += 1;
      return;
    }
    if (!checksumHolds(block))
      throw new BkpError('verifyFailed', 'the base backup is no tar archive, or was damaged on the way: a header checksum is wrong');
    const member = memberOf(block);
    if (!Number.isSafeInteger(member.bytes))
      throw new BkpError('verifyFailed', `the archive has a member "${member.name}" whose size is none`);
    this.onMember(member);
    this.#skip = Math.ceil(member.bytes / BLOCK) * BLOCK;
    this.#left = member.bytes;
    if (this.keep(member)) this.#keeping = { name: member.name, left: member.bytes, chunks: [] };
    if (this.#keeping?.left === 0) this.#take(Buffer.alloc(0));
  }
}
