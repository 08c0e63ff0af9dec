import type { LineageId, Lsn, Store, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { decodeSigned, encodeSigned } from '../../../core/signed.ts';
import { putBytes, readAll } from '../../../flow/bytes.ts';

/** One history of one cluster, as the stores record it under `<base>/lineages/<lineage>.json`. */
export interface Lineage {
  version: 1;
  lineage: LineageId;
  systemIdentifier: string;
  /** The `bkp.restored` marker's nonce of the restored cluster that began it; absent for an original or a declared gap. */
  nonce?: string;
  parent?: { lineage: LineageId; lsn: Lsn };
  createdAt: string;
}

/** What a restore writes into postgresql.auto.conf as `bkp.restored`. */
export interface Marker {
  nonce: string;
  parent: LineageId;
  lsn: Lsn;
}

export const formatMarker = (marker: Marker): string => `${marker.nonce} ${marker.parent} ${marker.lsn}`;

/** Reads a marker; undefined when there is none. Throws BkpError('failed') on one that was changed by hand. */
export function parseMarker(text: string | null | undefined): Marker | undefined {
  if (!text) return undefined;
  const match = /^([0-9a-f]{32}) (\d+-\d+) ([0-9A-F]+\/[0-9A-F]+)$/.exec(text);
  if (!match)
    throw new BkpError('failed', `the server's setting bkp.restored is "${text}", which no restore of bkp writes`, {
      next: 'restore the value from a backup of postgresql.auto.conf',
    });
  return { nonce: match[1]!, parent: match[2]!, lsn: match[3]! };
}

const counterOf = (lineage: LineageId): number => Number(lineage.split('-')[1]);
const prefixOf = (base: string): string => `${base}/lineages/`;

/** Key of the record of a lineage. */
export const lineageKey = (base: string, lineage: LineageId): string => `${prefixOf(base)}${lineage}.json`;

const isLineage = (value: unknown): value is Lineage => {
  const record = value as Lineage;
  return record?.version === 1 && /^\d+-\d+$/.test(record.lineage ?? '') && /^\d+$/.test(record.systemIdentifier ?? '');
};

/** One record, signed by a trusted key, under its own name. @throws BkpError('verifyFailed') for any other; what the store throws */
async function readLineage(ctx: TargetContext, store: Store, key: string): Promise<Lineage> {
  const what = `${key} in store ${store.name}`;
  const record = decodeSigned(await readAll(store.get(key)), ctx.keys.verify, what);
  if (!isLineage(record)) throw new BkpError('verifyFailed', `${what} is no lineage record`);
  if (key === lineageKey(ctx.base, record.lineage)) return record;
  throw new BkpError('verifyFailed', `${what} is the record of lineage ${record.lineage}: it was moved or copied there`);
}

/** Why one record of a store that answers cannot be had from it; undefined = the error is of another kind. */
function lackOf(ctx: TargetContext, store: Store, key: string, error: unknown): BkpError | undefined {
  if (!(error instanceof BkpError)) return undefined;
  if (error.exit === 'verifyFailed') return error;
  if (error.exit !== 'notFound') return undefined;
  return new BkpError('storeUnreachable', `store ${store.name} lists ${key}, and says that it is not there when it is read`, {
    next: ['run the command again', `bkp verify ${ctx.kind} ${ctx.name}`],
    cause: error,
  });
}

interface Records {
  found: Map<LineageId, Lineage>;
  /** Keys that a store lists and does not give. */
  lacks: { key: string; error: BkpError }[];
}

/** Adds what one store has. Throws what the store throws. */
async function addRecords(ctx: TargetContext, store: Store, { found, lacks }: Records): Promise<void> {
  for await (const { key } of store.list(prefixOf(ctx.base))) {
    if (!key.endsWith('.json')) continue;
    try {
      const record = await readLineage(ctx, store, key);
      found.set(record.lineage, record);
    } catch (error) {
      const lack = lackOf(ctx, store, key, error);
      if (!lack) throw error;
      lacks.push({ key, error: lack });
    }
  }
}

/** What one store lacks has to be in another, and is told. Throws what stood in the way where no store has it. */
function settleLacks(ctx: TargetContext, { found, lacks }: Records): void {
  const keys = new Set([...found.keys()].map(lineage => lineageKey(ctx.base, lineage)));
  for (const { key, error } of lacks) {
    if (!keys.has(key)) throw error;
    ctx.report.emit({ type: 'warning', text: `${error.message}; another store has it` });
  }
}

/**
 * Every lineage record that the stores show, by id. A record that one store does not give as it was signed is taken from another and told.
 * @throws BkpError('storeUnreachable' | 'verifyFailed') when no store answers, or no store gives a record that one of them lists
 */
export async function knownLineages(ctx: TargetContext, stores: readonly Store[] = ctx.stores): Promise<Map<LineageId, Lineage>> {
  const records: Records = { found: new Map(), lacks: [] };
  const unreachable: string[] = [];
  for (const store of stores) {
    try {
      await addRecords(ctx, store, records);
    } catch (error) {
      if (!(error instanceof BkpError && error.exit === 'storeUnreachable')) throw error;
      unreachable.push(sentence(error));
    }
  }
  if (unreachable.length === stores.length)
    throw new BkpError('storeUnreachable', `no store of ${ctx.kind}/${ctx.name} answers: ${unreachable.join('; ')}`);
  settleLacks(ctx, records);
  return records.found;
}

async function record(ctx: TargetContext, lineage: Lineage): Promise<void> {
  const bytes = encodeSigned(lineage, ctx.keys.sign);
  let held = 0;
  const failed: string[] = [];
  let conflict = false;
  for (const store of ctx.stores) {
    try {
      await putBytes(store, lineageKey(ctx.base, lineage.lineage), bytes, { ifAbsent: true, lasting: true });
      held += 1;
    } catch (error) {
      conflict ||= error instanceof BkpError && error.exit === 'conflict';
      failed.push(`${store.name}: ${sentence(error)}`);
    }
  }
  if (conflict || held < ctx.need)
    throw new BkpError(
      conflict ? 'conflict' : 'storeUnreachable',
      `lineage ${lineage.lineage} could not be recorded in ${ctx.need} store(s): ${failed.join('; ')}`,
      { next: 'run the command again' },
    );
}

/** A store that missed the record (it was down, or is new) gets it as soon as the lineage is used again. */
export async function healRecord(ctx: TargetContext, lineage: Lineage): Promise<void> {
  const key = lineageKey(ctx.base, lineage.lineage);
  for (const store of ctx.stores) {
    try {
      if ((await store.stat(key)) === undefined)
        await putBytes(store, key, encodeSigned(lineage, ctx.keys.sign), { ifAbsent: true, lasting: true });
    } catch (error) {
      ctx.report.emit({ type: 'warning', text: `lineage ${lineage.lineage} is not recorded in store ${store.name}: ${sentence(error)}` });
    }
  }
}

/** The lineage into which a cluster archives, as far as it is recorded: the newest of its own system identifier and restore. */
export function currentOf(
  known: readonly Lineage[],
  { systemIdentifier, restored }: { systemIdentifier: string; restored: string | null },
): Lineage | undefined {
  const nonce = parseMarker(restored)?.nonce;
  const mine = known.filter(each => each.systemIdentifier === systemIdentifier && each.nonce === nonce);
  return mine.sort((a, b) => counterOf(b.lineage) - counterOf(a.lineage))[0];
}

/**
 * The lineage into which a live cluster archives: its own when it is known, a new one (counter + 1, with parent and fork) for a
 * restored cluster's first archive, the first one for the first cluster of a target.
 * @throws BkpError('refused') for a foreign system identifier without `newLineage` (PG19)
 */
export async function lineageFor(
  ctx: TargetContext,
  live: { systemIdentifier: string; restored: string | null },
  newLineage: boolean,
): Promise<LineageId> {
  const known = [...(await knownLineages(ctx)).values()];
  const own = known.filter(({ systemIdentifier }) => systemIdentifier === live.systemIdentifier);
  const marker = parseMarker(live.restored);
  const next = `${live.systemIdentifier}-${Math.max(0, ...own.map(({ lineage }) => counterOf(lineage))) + 1}`;
  const begin = async (extra: Partial<Lineage>): Promise<LineageId> => {
    await record(ctx, {
      version: 1,
      lineage: next,
      systemIdentifier: live.systemIdentifier,
      ...extra,
      createdAt: ctx.clock.now().toISOString(),
    });
    return next;
  };
  if (known.length > 0 && own.length === 0 && !newLineage) throw foreign(ctx, live.systemIdentifier, known);
  const current = currentOf(known, live);
  if (current && !newLineage) {
    await healRecord(ctx, current);
    return current.lineage;
  }
  if (marker) return begin({ nonce: marker.nonce, parent: { lineage: marker.parent, lsn: marker.lsn } });
  return begin({});
}

const foreign = (ctx: TargetContext, identifier: string, known: readonly Lineage[]): BkpError =>
  new BkpError(
    'refused',
    `${ctx.kind}/${ctx.name}: the server's system identifier is ${identifier}, and the backups there are of ${[...new Set(known.map(k => k.systemIdentifier))].join(', ')}: this is another cluster (initdb, or a wrong host)`,
    { next: ['check host and port in the config', 'if the cluster was created anew on purpose, run again with --new-lineage'] },
  );
