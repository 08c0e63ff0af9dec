import type { Member } from '../../../flow/tarScan.ts';

/** First of an incremental file: magic, number of blocks in it, and the blocks of the file that it stands for; 32 bits each, in the server's order. */
const HEAD = 12;
const MAGIC = 0xd3ae1f0d;
/** What every server is built with, unless somebody asked for another size. */
const BLOCK = 8192;

const isIncremental = ({ name, type }: Member): boolean => type === '0' && /(?:^|\/)INCREMENTAL\.[^/]+$/.test(name);

/**
 * Adds up what the files of an increment stand for. Each `INCREMENTAL.*` begins with the length to which a restore brings the file
 * (PostgreSQL 17 and 18, backup/basebackup_incremental.c), so an increment can be compared in size with full backups.
 */
export class WholeSizes {
  #head: Buffer | undefined;
  #size = 0;
  /** Bytes of the files that the increment stands for, beyond those that it holds; less than 0 where its own headers weigh more. */
  beyond = 0;

  /** A member begins. */
  member(member: Member): void {
    this.#head = isIncremental(member) ? Buffer.alloc(0) : undefined;
    this.#size = member.bytes;
  }

  /** The next bytes of that member. */
  bytes(bytes: Buffer): void {
    if (!this.#head) return;
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, HEAD - this.#head.length)]);
    if (this.#head.length < HEAD) return;
    const little = this.#head.readUInt32LE(0) === MAGIC;
    if (little || this.#head.readUInt32BE(0) === MAGIC)
      this.beyond += (little ? this.#head.readUInt32LE(8) : this.#head.readUInt32BE(8)) * BLOCK - this.#size;
    this.#head = undefined;
  }
}
