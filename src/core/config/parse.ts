import { type Document, isScalar, LineCounter, visit } from 'yaml';
import type * as z from 'zod';
import { BkpError, sentence } from '../errors.ts';
import { crossFaults } from './cross.ts';
import { isMerge, mergedFrom, readDocument } from './document.ts';
import { faultsOf, guessed, words } from './faults.ts';
import { dotted, type Fault, type Path, positionOf } from './position.ts';
import { configSchema, type Registry } from './schema.ts';
import { besideConfig } from './secrets.ts';
import type { Config, Environment, TargetEntry } from './types.ts';

interface Line {
  line: number;
  col: number;
  text: string;
}

const EMPTY = 'the config is empty; it needs `keys` and `environments`; `bkp init --out FILE` writes a whole one elsewhere';
const SYNTAX: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab is used as indentation; allowed are spaces',
  DUPLICATE_KEY: 'this key stands twice in one map; allowed is once',
  MULTIPLE_DOCS: 'a second document begins here; allowed is one, without a line of ---',
};
const UNQUOTED = '${…} without quotes between { } or [ ]; allowed is "${NAME}"';

const UNMERGED = '<< takes the settings of a map; allowed is <<: *ANCHOR, or a list of such';

/** What the parser puts behind a colon is text of the file, and that may be a password. */
const withoutText = (message: string): string => message.split(/ at line \d+/)[0]!.split(': ')[0]!;

/** What the parser says from a `${` on that it took for the begin of a map is of its guess. */
function syntax(text: string, doc: Document, lines: LineCounter): Line[] {
  const all = [...doc.errors, ...doc.warnings];
  const cut = all.findIndex(({ pos }) => text.startsWith('${', pos[0] - 1));
  const told = (cut < 0 ? all : all.slice(0, cut)).map(({ code, message, pos }) => ({
    ...lines.linePos(pos[0]),
    text: SYNTAX[code] ?? withoutText(message),
  }));
  return cut < 0 ? told : [...told, { ...lines.linePos(all[cut]!.pos[0] - 1), text: UNQUOTED }];
}

/** zod leaves this name out of a map without a word: an entry would be in no backup. */
const LOST = '__proto__';

function lost(doc: Document, lines: LineCounter): Line[] {
  const found: Line[] = [];
  visit(doc, {
    Pair: (_, { key }) => {
      if (isScalar(key) && key.value === LOST)
        found.push({ ...lines.linePos(key.range?.[0] ?? 0), text: `${LOST} cannot be a name here; allowed is another one` });
    },
  });
  return found;
}

/** Places where `<<:` takes from what has no settings. */
function unmerged(doc: Document, lines: LineCounter): Line[] {
  const found: Line[] = [];
  visit(doc, {
    Pair: (_, pair) => {
      if (isMerge(pair) && !mergedFrom(doc, pair))
        found.push({ ...lines.linePos((pair.key as { range?: number[] }).range?.[0] ?? 0), text: UNMERGED });
    },
  });
  return found;
}

function data(doc: Document): { value: unknown } | { fault: Fault } {
  try {
    return { value: doc.toJS() };
  } catch (error) {
    return { fault: { path: [], text: withoutText(sentence(error)) } };
  }
}

/** Where parsing itself failed, what was read is a guess: its other faults would be noise. A key that stands twice harms nothing else. */
const readable = (doc: Document): boolean => doc.errors.every(error => error.code === 'DUPLICATE_KEY');

/** Faults that an unknown engine or type hides, beside those that are told already. */
function behind(error: z.ZodError, own: readonly Fault[], value: unknown, registry: Registry): Fault[] {
  const meant = guessed(error, value);
  const result = meant === undefined ? undefined : configSchema(registry).safeParse(meant, { error: words as any });
  if (!result || result.success) return [];
  // A key that is unknown has a path of its own only once it is told.
  const told = new Set([...error.issues.map(({ path }) => dotted(path as Path)), ...own.map(({ path }) => dotted(path))]);
  return faultsOf(result.error, meant).filter(({ path }) => !told.has(dotted(path)));
}

function check(value: unknown, registry: Registry): { parsed?: any; faults: Fault[] } {
  const result = configSchema(registry).safeParse(value, { error: words as any });
  const plain = result.success ? [] : faultsOf(result.error, value);
  const own = result.success ? [] : [...plain, ...behind(result.error, plain, value, registry)];
  const told = new Set(own.map(fault => dotted(fault.path)));
  const cross = [...crossFaults(value, registry)].filter(fault => !told.has(dotted(fault.path)));
  return { ...(result.success ? { parsed: result.data } : {}), faults: [...own, ...cross] };
}

function faultLines(doc: Document, lines: LineCounter, faults: readonly Fault[]): Line[] {
  return faults.map(fault => {
    const where = dotted(fault.text.startsWith('unknown key') ? fault.path.slice(0, -1) : fault.path);
    return { ...positionOf(doc, lines, fault), text: where ? `${where}: ${fault.text}` : fault.text };
  });
}

function refuse(file: string, found: readonly Line[]): never {
  const sorted = [...found].sort((a, b) => a.line - b.line || a.col - b.col);
  throw new BkpError('usage', sorted.map(({ line, col, text }) => `${file}:${line}:${col}: ${text}`).join('\n'), {
    next: 'Mend these, then type: bkp config check',
  });
}

/** Tells faults that only what `${…}` says shows, each with its place in the file. @throws BkpError('usage') where there are any */
export function refuseFaults(text: string, file: string, faults: readonly Fault[]): void {
  if (faults.length === 0) return;
  const lines = new LineCounter();
  const doc = readDocument(text, lines);
  refuse(file, faultLines(doc, lines, faults));
}

function toEnvironment(name: string, raw: any, kinds: readonly string[]): Environment {
  const all = Object.keys(raw.stores);
  const withStores = (entries: Record<string, TargetEntry>) =>
    Object.fromEntries(Object.entries(entries).map(([key, entry]) => [key, { ...entry, stores: entry.stores ?? all }]));
  return {
    name,
    protected: raw.protected,
    ...(raw.restoresFrom === undefined ? {} : { restoresFrom: raw.restoresFrom }),
    ...(raw.cluster === undefined ? {} : { cluster: raw.cluster }),
    kit: raw.kit,
    drills: raw.drills,
    prefix: raw.prefix,
    stores: raw.stores,
    ...(raw.notify === undefined ? {} : { notify: raw.notify }),
    targets: Object.fromEntries(kinds.map(kind => [kind, withStores(raw[kind] ?? {})])),
  };
}

/**
 * Reads a bkp.yaml: defaults filled, secrets still `${…}`.
 * @param text of the file
 * @param file path for messages
 * @throws BkpError('usage') with every fault at once, a line each: `file:line:column: setting: what, and what is allowed`
 */
export function parseConfig(text: string, file: string, registry: Registry): Config {
  const lines = new LineCounter();
  const doc = readDocument(text, lines);
  const found = [...syntax(text, doc, lines), ...lost(doc, lines)];
  if (!readable(doc)) return refuse(file, found);
  const strange = unmerged(doc, lines);
  if (strange.length > 0) return refuse(file, [...found, ...strange]);
  const read = data(doc);
  if ('fault' in read) return refuse(file, faultLines(doc, lines, [read.fault]));
  if (read.value === null || read.value === undefined) return refuse(file, [{ line: 1, col: 1, text: EMPTY }]);
  const { parsed, faults } = check(read.value, registry);
  const all = [...found, ...faultLines(doc, lines, faults)];
  if (all.length) return refuse(file, all);
  const kinds = Object.keys(registry.kinds);
  const environments = Object.entries(parsed.environments).map(([name, raw]) => [name, toEnvironment(name, raw, kinds)]);
  return { file, ...besideConfig({ ...parsed, environments: Object.fromEntries(environments) }, file) };
}
