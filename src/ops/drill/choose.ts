import type { Id, Known, Manifest, Store, TargetContext } from '../../core/contracts.ts';
import { type Catalog, catalog, heldBy, lackingChain } from '../catalog.ts';
import { gathered } from '../gathered.ts';

/** What of a target is tried: the newest good backup, one at random among the good, or the one that is named. */
export interface Pick {
  backup?: Id | undefined;
  /** At least four random bytes. */
  random?: (() => Uint8Array) | undefined;
}

/** One backup out of one store, or why there is none to try. */
export type Attempt = { store: Store; manifest: Manifest } | { why: string; store?: string; backup?: Id };

const names = (stores: readonly { name: string }[]): string => stores.map(({ name }) => name).join(', ');

/** What may be tried, oldest first. An anomaly is none of the good ones, and is tried only by its name. */
const candidates = (known: readonly Known[], stores: readonly Store[], { backup }: Pick): Known[] =>
  known
    .filter(({ manifest }) => (backup === undefined ? manifest.anomaly === undefined : manifest.id === backup))
    .filter(each => stores.some(({ name }) => each.stores.includes(name)));

function atRandom(all: readonly Known[], random: () => Uint8Array): Known | undefined {
  const bytes = random();
  const number = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
  return all[number % all.length];
}

/**
 * The backup that is tried out of one of some stores: the first that holds it whole, as a restore takes it. Where the newest one is damaged
 * there is none, although an older one would do: that is what a drill is to find.
 */
function attempt({ known, shown }: Catalog, stores: readonly Store[], pick: Pick, { base, kind, name }: TargetContext): Attempt {
  const what = `${kind}/${name}`;
  const missing = ({ manifest }: Known, store: Store): string[] =>
    lackingChain(base, manifest, heldBy(known, store.name), shown.find(each => each.store === store)!.sizes);
  const holders = (each: Known): Store[] => stores.filter(({ name }) => each.stores.includes(name));
  const whole = (each: Known): Store | undefined => holders(each).find(store => missing(each, store).length === 0);
  const all = candidates(known, stores, pick);
  const chosen = pick.random ? (atRandom(all.filter(whole), pick.random) ?? all.at(-1)) : all.at(-1);
  const only = stores.length === 1 ? { store: stores[0]!.name } : {};
  if (!chosen) return { why: `${what} has no ${pick.backup ? `backup ${pick.backup}` : 'good backup'} in ${names(stores)}`, ...only };
  const store = whole(chosen);
  if (store) return { store, manifest: chosen.manifest };
  const [first] = holders(chosen);
  const key = missing(chosen, first!)[0];
  const why = `backup ${chosen.manifest.id} cannot be restored: store ${first!.name} lacks ${key}, or shows it at another size`;
  return { why, store: first!.name, backup: chosen.manifest.id };
}

/**
 * What is tried of one target: once out of the first store that has it, or once out of each store, or out of the one that is named.
 * @param choice name of a store, or `each`
 * @returns at least one; what keeps a backup from counting, and a store that is silent, is a warning
 * @throws BkpError('storeUnreachable') when no store answers
 */
export async function attemptsOf(ctx: TargetContext, choice: string | undefined, pick: Pick): Promise<Attempt[]> {
  const what = `${ctx.kind}/${ctx.name}`;
  const asked = choice === undefined || choice === 'each' ? ctx.stores : ctx.stores.filter(({ name }) => name === choice);
  if (asked.length === 0) return [{ why: `${what} has no store ${choice}; it has: ${names(ctx.stores)}` }];
  const found = await catalog(asked, ctx.base, ctx.keys);
  for (const { store, key, error } of gathered(found.problems))
    ctx.report.emit({ type: 'warning', text: `${what}, store ${store}${key ? `, ${key}` : ''}: ${error}` });
  const answering = asked.filter(store => found.shown.some(each => each.store === store));
  if (choice === undefined) return [attempt(found, answering, pick, ctx)];
  return asked.map(store =>
    answering.includes(store)
      ? attempt(found, [store], pick, ctx)
      : { why: found.problems.find(each => each.store === store.name)!.error, store: store.name },
  );
}
