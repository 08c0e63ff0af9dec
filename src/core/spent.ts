type GiveBack = (memory: ArrayBufferLike) => void;

/** Chunks whose memory their last reader may give back: these very objects, not other views of the same memory. */
const lent = new WeakMap<Uint8Array, GiveBack>();

/** What is moved out of a buffer and dropped is freed at once. */
const free: GiveBack = memory => void (memory as ArrayBuffer & { transfer(bytes: number): ArrayBuffer }).transfer(0);

/**
 * Marks a chunk whose memory is all its own, as of one that was just read from a pipe or a socket: 64 KiB each, and left to the collector
 * 1 GiB of them costs a second of full collections.
 * @param giveBack takes the memory when the chunk is spent; it is freed unless told otherwise
 * @returns the same chunk. Its reader passes it on or keeps it, never both: what is kept beside has to be a copy
 */
export function owned<T extends Uint8Array>(chunk: T, giveBack: GiveBack = free): T {
  if (giveBack !== free || chunk.byteLength === chunk.buffer.byteLength) lent.set(chunk, giveBack);
  return chunk;
}

/** As `owned`, of a chunk that does not fill its memory and shares it with no other. */
export function ownedPart<T extends Uint8Array>(chunk: T): T {
  lent.set(chunk, free);
  return chunk;
}

/** For the last reader of a chunk, who looks at it no more: gives back its memory where it is marked, and does nothing to any other. */
export function spent(chunk: Uint8Array): void {
  const giveBack = lent.get(chunk);
  lent.delete(chunk);
  giveBack?.(chunk.buffer);
}
