import { Document, isAlias, isMap, isScalar, isSeq, visit } from 'yaml';
import { isMerge, readDocument } from '../config/document.ts';
import { type SecretRef, secretsIn } from '../config/index.ts';
import { IDENTITY, type KitSecret } from './types.ts';

type Path = readonly string[];

/** A config that works out of the directory of a kit. */
export interface Portable {
  text: string;
  /** References whose value has to be put into the file named. */
  secrets: (KitSecret & Pick<SecretRef, 'from' | 'name'>)[];
}

export interface PortableOptions {
  /** Environments that a restore needs; what the others refer to stays as it is. */
  envs: readonly string[];
  /** The one of them whose stores have the backups. */
  storesOf: string;
  /** Store → settings in place of its own. */
  stores: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Whether the reference at a path stays as it is. */
  leave(path: string): boolean;
}

const TOKEN = /\$\$\{|\$\{([^}]*)\}/g;

/** A name for the file of a reference, of letters, digits and `. _ -` alone. */
function fileOf(reference: string, taken: ReadonlyMap<string, string>): string {
  const name = reference
    .slice(2, -1)
    .replace(/^file:\.?\//, 'file.')
    .replace(/[^A-Za-z0-9._-]+/g, '.');
  for (let n = 1; ; n += 1) {
    const file = `secrets/${name}${n === 1 ? '' : `.${n}`}`;
    if (![...taken.values()].includes(file)) return file;
  }
}

/** The document without anchors, which a change in one place would carry to others. */
function plain(text: string): Document {
  const doc = readDocument(text);
  let aliased = false;
  visit(doc, {
    Pair: (_key, pair) => {
      aliased ||= isMerge(pair);
    },
    Node: (_key, node) => {
      aliased ||= isAlias(node);
    },
  });
  return aliased ? new Document(doc.toJS(), { aliasDuplicateObjects: false }) : doc;
}

/** Calls `change` for every text below a node, and puts its answer there. */
function mapScalars(node: unknown, path: Path, change: (text: string, path: Path) => string): void {
  if (isScalar(node) && typeof node.value === 'string') node.value = change(node.value, path);
  if (isMap(node)) for (const { key, value } of node.items) mapScalars(value, [...path, String(isScalar(key) ? key.value : key)], change);
  if (isSeq(node)) for (const [n, item] of node.items.entries()) mapScalars(item, [...path, String(n)], change);
}

/** What a clean machine has no use for, or must not get: the signing key, a directory for temporary files, the settings of the kit itself. */
function strip(doc: Document, options: PortableOptions): void {
  doc.deleteIn(['keys', 'signing']);
  doc.deleteIn(['temp']);
  if (doc.hasIn(['keys', 'identity'])) doc.setIn(['keys', 'identity'], `\${file:./${IDENTITY}}`);
  const environments = doc.get('environments');
  if (isMap(environments)) for (const { key } of environments.items) doc.deleteIn(['environments', isScalar(key) ? key.value : key, 'kit']);
  for (const [store, settings] of Object.entries(options.stores))
    for (const [field, value] of Object.entries(settings)) doc.setIn(['environments', options.storesOf, 'stores', store, field], value);
}

const isNeeded = (path: Path, envs: readonly string[]): boolean => path[0] !== 'environments' || envs.includes(path[1] ?? '');

/**
 * The config as it is written, with its comments, and every `${…}` that a restore needs turned into `${file:./secrets/…}`.
 * @param text of a bkp.yaml without faults
 */
export function portable(text: string, options: PortableOptions): Portable {
  const doc = plain(text);
  strip(doc, options);
  const files = new Map<string, string>();
  const secrets: Portable['secrets'] = [];
  mapScalars(doc.contents, [], (value, at) => {
    const path = at.join('.');
    if (path === 'keys.identity' || !isNeeded(at, options.envs) || options.leave(path)) return value;
    return value.replace(TOKEN, token => {
      const [ref] = secretsIn(token, path);
      if (!ref) return token;
      const file = files.get(token) ?? fileOf(token, files);
      files.set(token, file);
      secrets.push({ path, reference: token, file, from: ref.from, name: ref.name });
      return `\${file:./${file}}`;
    });
  });
  return { text: doc.toString({ lineWidth: 0 }), secrets };
}
