import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node, type Pair, parseDocument } from 'yaml';

/** A bkp.yaml as it is written. `<<: *anchor` takes the settings of another map, as YAML has it everywhere. */
export const readDocument = (text: string, lineCounter?: LineCounter): Document =>
  parseDocument(text, { merge: true, prettyErrors: false, ...(lineCounter ? { lineCounter } : {}) }) as unknown as Document;

/** Whether a pair is a `<<:`; the parser gives its key a value of its own. */
export const isMerge = ({ key }: Pair<unknown, unknown>): boolean => isScalar(key) && typeof key.value === 'symbol';

const resolved = (doc: Document, node: unknown): unknown => (isAlias(node) ? node.resolve(doc) : node);

/** What a `<<:` takes from, first wins; undefined where one of them is no map. */
export function mergedFrom(doc: Document, { value }: Pair<unknown, unknown>): unknown[] | undefined {
  const from = resolved(doc, value);
  const all = (isSeq(from) ? from.items : [from]).map(each => resolved(doc, each));
  return all.every(each => isMap(each)) ? all : undefined;
}

/** The pair of a key in a map, or in what the map takes from others. */
export function pairOf(doc: Document, node: unknown, key: PropertyKey): Pair<Node, Node | null> | undefined {
  if (!isMap<Node, Node | null>(node)) return undefined;
  const own = node.items.find(pair => String((pair.key as { value?: unknown }).value) === String(key));
  if (own) return own;
  const sources = node.items.filter(isMerge).flatMap(pair => mergedFrom(doc, pair) ?? []);
  for (const source of sources) {
    const found = pairOf(doc, source, key);
    if (found) return found;
  }
  return undefined;
}
