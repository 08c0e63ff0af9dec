import { type Document, isAlias, isMap, isSeq, type LineCounter, type Node } from 'yaml';
import { pairOf } from './document.ts';

export type Path = readonly PropertyKey[];

/** A fault at a place of the data; `key` = show the key's own place, not the value's. */
export interface Fault {
  path: Path;
  text: string;
  key?: boolean;
}

/** `environments.production.stores` */
export const dotted = (path: Path): string => path.map(String).join('.');

/** Offset of the nearest thing at or above `path`: what is missing is shown where it should stand. */
function offsetOf(doc: Document, path: Path, key: boolean): number {
  let node: unknown = doc.contents;
  let offset = doc.contents?.range?.[0] ?? 0;
  for (const [index, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(doc);
    const pair = pairOf(doc, node, part);
    const next = pair ? pair.value : isSeq<Node>(node) ? node.items[Number(part)] : undefined;
    if (!pair && !next) return offset;
    const own = key && index === path.length - 1;
    offset = (own || !next?.range || next.range[0] === next.range[1] ? pair?.key.range?.[0] : next.range[0]) ?? offset;
    if (!own && pair && (isMap(next) || isSeq(next))) offset = pair.key.range?.[0] ?? offset;
    node = next;
  }
  return offset;
}

/** `line:column` of a fault, from 1. */
export function positionOf(doc: Document, lines: LineCounter, fault: Fault): { line: number; col: number } {
  return lines.linePos(offsetOf(doc, fault.path, fault.key ?? false));
}
