/** Bytes of a block, which is a part. */
export const BLOCK = 16 * 1024 * 1024;
