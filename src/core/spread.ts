/** FNV-1a over UTF-16 units, 32 bits: spreads names evenly, and is the same everywhere. No protection against anybody. */
export function spread(text: string): number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < text.length; n += 1) hash = Math.imul(hash ^ text.charCodeAt(n), 0x01000193) >>> 0;
  return hash;
}
