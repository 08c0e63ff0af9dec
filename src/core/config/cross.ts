import { parseDuration } from '../duration.ts';
import { wrongOption } from '../restoreOptions.ts';
import { type Member, wavesOf } from '../waves.ts';
import { hint } from './faults.ts';
import type { Fault, Path } from './position.ts';
import type { Registry } from './schema.ts';
import { badReferences } from './secrets.ts';

type Data = Record<string, unknown>;

const isData = (value: unknown): value is Data => typeof value === 'object' && value !== null && !Array.isArray(value);
const items = (value: unknown): [string, Data][] =>
  isData(value) ? Object.entries(value).filter((pair): pair is [string, Data] => isData(pair[1])) : [];
const texts = (value: unknown): [number, string][] =>
  Array.isArray(value) ? [...value.entries()].filter((pair): pair is [number, string] => typeof pair[1] === 'string') : [];

function unknownNames(list: unknown, known: readonly string[], path: Path): Fault[] {
  const bad = texts(list).filter(([, store]) => !known.includes(store));
  const twice = texts(list).filter(([index, store]) => (list as unknown[]).indexOf(store) !== index);
  return [
    ...bad.map(([n, store]) => ({ path: [...path, n], text: `store "${store}" is not defined${hint(store, known)}` })),
    ...twice.map(([n, store]) => ({ path: [...path, n], text: `store "${store}" is named twice; allowed is once` })),
  ];
}

function keepsNothing(retention: Data): boolean {
  const counts = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'].map(rule => retention[rule] ?? 0);
  const { within } = retention;
  if (counts.some(count => count !== 0)) return false;
  if (within === undefined) return true;
  try {
    return typeof within === 'string' && parseDuration(within) === 0;
  } catch {
    return false;
  }
}

/** A window of nothing would let the log of right now go. */
function emptyWindows(retention: Data, defaults: Data): string[] {
  const windows = Object.keys(defaults).filter(key => typeof defaults[key] === 'string' && key !== 'within');
  return windows.filter(key => typeof retention[key] === 'string' && /^0+[a-z]+$/.test(retention[key]));
}

function* ofEntry(entry: Data, defaults: Data, known: readonly string[], path: Path): Generator<Fault> {
  yield* unknownNames(entry['stores'], known, [...path, 'stores']);
  const own = Array.isArray(entry['stores']) ? entry['stores'].filter(store => typeof store === 'string') : known;
  for (const [field, value] of items(entry))
    yield* unknownNames(
      value['stores'],
      known.filter(store => own.includes(store)),
      [...path, field, 'stores'],
    );
  const need = entry['need'];
  if (typeof need === 'number' && need > own.length && own.length > 0)
    yield { path: [...path, 'need'], text: `${need} is more than the entry has stores; allowed is 1 to ${own.length}` };
  const retention = entry['retention'];
  if (isData(retention))
    for (const key of emptyWindows(retention, defaults))
      yield { path: [...path, 'retention', key], text: `${retention[key]} is no window; allowed is a duration above 0, e.g. 30d` };
  if (isData(retention) && keepsNothing({ ...defaults, ...retention }))
    yield {
      path: [...path, 'retention'],
      key: true,
      text: 'keeps nothing, so prune would remove every backup; allowed is at least one of last, hourly, daily, weekly, monthly, yearly or within above 0',
    };
}

/** Names of `fullDr.after` that point nowhere, and orders that go round in a circle. */
function* ofOrder(env: Data, registry: Registry, path: Path): Generator<Fault> {
  const kinds = Object.keys(registry.kinds);
  const entries = kinds.flatMap(kind => items(env[kind]).map(([name, entry]) => ({ kind, name, entry })));
  const known = [...kinds, ...entries.map(({ kind, name }) => `${kind}/${name}`)];
  const members: Member[] = [];
  for (const { kind, name, entry } of entries) {
    const own = isData(entry['fullDr']) ? entry['fullDr'] : {};
    const named = texts(own['after']);
    const bad = named.filter(([, each]) => !known.includes(each));
    const at = [...path, kind, name, 'fullDr', 'after'];
    for (const [n, each] of bad) yield { path: [...at, n], text: `"${each}" is no kind and no entry here${hint(each, known)}` };
    if (bad.length > 0) return;
    const after = Array.isArray(own['after']) ? named.map(([, each]) => each) : (registry.kinds[kind]!.defaults.after ?? []);
    members.push({ kind, name, after });
  }
  const { circle } = wavesOf(members);
  const [first] = circle;
  if (first)
    yield {
      path: [...path, first.kind, first.name],
      key: true,
      text: `full-dr would wait for ever: ${[...circle, first].map(({ kind, name }) => `${kind}/${name}`).join(' after ')}; allowed is an order without a circle`,
    };
}

/** Options for the restore of an entry that its kind has not, or not in this way: they would say nothing. */
function* ofRestoreOptions(kind: string, entry: Data, path: Path): Generator<Fault> {
  const options = isData(entry['fullDr']) ? entry['fullDr']['options'] : undefined;
  for (const [name, value] of isData(options) ? Object.entries(options) : []) {
    const { wrong, allowed } = wrongOption(kind, name, value, entry['engine']);
    const isKnown = allowed.includes(name);
    if (wrong) yield { path: [...path, 'fullDr', 'options', name], key: !isKnown, text: `${wrong}${isKnown ? '' : hint(name, allowed)}` };
  }
}

/** Stores of the kit that point nowhere. Another type would be another store. */
function* ofKit(kit: unknown, known: readonly string[], path: Path): Generator<Fault> {
  for (const [store, settings] of items(isData(kit) ? kit['stores'] : undefined)) {
    const at = [...path, 'kit', 'stores', store];
    if (!known.includes(store)) yield { path: at, key: true, text: `store "${store}" is not defined${hint(store, known)}` };
    if ('type' in settings) yield { path: [...at, 'type'], key: true, text: 'cannot be another one in the kit' };
  }
}

function* ofEnvironment(env: Data, registry: Registry, names: readonly string[], path: Path): Generator<Fault> {
  const from = env['restoresFrom'];
  if (typeof from === 'string' && !names.includes(from))
    yield { path: [...path, 'restoresFrom'], text: `environment "${from}" is not defined${hint(from, names)}` };
  const stores = isData(env['stores']) ? Object.keys(env['stores']) : [];
  if (isData(env['stores']) && !stores.length) yield { path: [...path, 'stores'], text: 'is empty; at least one store is needed' };
  yield* ofPlaces(env['stores'], path);
  yield* ofKit(env['kit'], stores, path);
  yield* ofOrder(env, registry, path);
  for (const [kind, { defaults }] of Object.entries(registry.kinds))
    for (const [name, entry] of items(env[kind])) {
      yield* ofEntry(entry, { ...defaults.retention }, stores, [...path, kind, name]);
      yield* ofRestoreOptions(kind, entry, [...path, kind, name]);
    }
}

/** What tells the places of two stores apart; `${…}` is compared as it stands. */
export const placeOf = ({ type, path, endpoint, region, bucket }: Data): string =>
  typeof path === 'string'
    ? path
        .split('/')
        .filter(part => part !== '' && part !== '.')
        .join('/')
    : JSON.stringify([bucket, typeof endpoint === 'string' ? endpoint.replace(/\/+$/, '').toLowerCase() : [type, region]]);

/** One place under two names would be one copy that counts as two. */
function* ofPlaces(stores: unknown, path: Path): Generator<Fault> {
  const first = new Map<string, string>();
  for (const [name, settings] of items(stores)) {
    const place = placeOf(settings);
    const other = first.get(place);
    if (other) yield { path: [...path, 'stores', name], key: true, text: `is the place of store "${other}"; allowed is one store a place` };
    else first.set(place, name);
  }
}

/** `${…}` may stand in place of a key. */
const begins = (start: string, list: unknown, path: Path): Fault[] =>
  texts(list)
    .filter(([, text]) => !text.startsWith(start) && !text.includes('${'))
    .map(([n]) => ({ path: [...path, n], text: `is no such key; allowed is a text that begins with ${start}` }));

function* ofKeys(keys: unknown): Generator<Fault> {
  if (keys !== undefined && !isData(keys)) return;
  const recipients = keys?.['recipients'];
  const none = recipients === undefined || (Array.isArray(recipients) && !recipients.length);
  if (keys && none && keys['unencrypted'] !== true)
    yield {
      path: ['keys', 'recipients'],
      text: 'has no age recipient (age1…); name one (`bkp keygen` makes a pair), or set `unencrypted: true`',
    };
  if (!none && keys?.['unencrypted'] === true)
    yield { path: ['keys', 'unencrypted'], text: 'is true beside recipients; allowed is one of the two' };
  yield* begins('age1', recipients, ['keys', 'recipients']);
  yield* begins('bkp-ed25519-', keys?.['trusted'], ['keys', 'trusted']);
}

/** Faults that no single field shows: names that point nowhere, rules that keep nothing, references that are not written right. */
export function* crossFaults(data: unknown, registry: Registry): Generator<Fault> {
  if (!isData(data)) return;
  yield* ofKeys(data['keys']);
  const environments = isData(data['environments']) ? Object.keys(data['environments']) : [];
  if (isData(data['environments']) && !environments.length) yield { path: ['environments'], text: 'is empty; at least one is needed' };
  const chosen = data['defaultEnv'];
  if (typeof chosen === 'string' && !environments.includes(chosen))
    yield { path: ['defaultEnv'], text: `environment "${chosen}" is not defined${hint(chosen, environments)}` };
  for (const [name, env] of items(data['environments'])) yield* ofEnvironment(env, registry, environments, ['environments', name]);
  yield* badReferences(data);
}
