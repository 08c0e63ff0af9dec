import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSegment, segmentName } from '../../../core/postgres/lsn.ts';
import { spent } from '../../../core/spent.ts';
import { holdingsOf, readFirstWhole, type WalObject } from './archive.ts';
import type { Context } from './chunks.ts';
import { fetchFrom, lineageOf } from './fetch.ts';
import { checkName } from './log.ts';

/** PostgreSQL asks again for the first and the last segments, so a few stay. */
const KEEP_BEHIND = 3;
/** A listing serves for so long; what is not in it is looked for anew when it is asked for. */
const LISTED_MS = 2000;
/** Names share so many digits with 255 others: one listing serves them all. */
const LISTED_DIGITS = 22;

type Listing = ReadonlyMap<string, readonly WalObject[]>;

/** Reads ahead of one server's replay. What it hands out is what `fetch` would; it keeps whole copies only, never an end or an open segment. */
export class Reader {
  readonly #ctx: Context;
  readonly #dataDir: string;
  readonly #place: string;
  readonly #ready = new Map<string, Promise<string | undefined>>();
  readonly #listed = new Map<string, { at: number; listing: Promise<Listing> }>();
  readonly #written = new Set<string>();
  #lineage: Promise<string> | undefined;
  #segmentBytes: number | undefined;
  /** When it was asked last, in ms since 1970. */
  asked: number;

  /** @param place an empty directory for the segments */
  constructor(ctx: Context, dataDir: string, place: string) {
    this.#ctx = ctx;
    this.#dataDir = dataDir;
    this.#place = place;
    this.asked = ctx.clock.now().getTime();
  }

  /** The path of a file, read ahead or now; undefined at the proven end of the WAL. @throws as `fetch` does */
  async lookUp(name: string): Promise<string | undefined> {
    this.asked = this.#ctx.clock.now().getTime();
    checkName(this.#ctx, name);
    const path = (await this.#ready.get(name)?.catch(() => undefined)) ?? (await this.#fetchNow(name));
    if (path !== undefined) await this.follow(name);
    return path;
  }

  /** Reads what comes after `name`, and forgets what lies elsewhere. */
  async follow(name: string): Promise<void> {
    const size = await this.#sizeBy(name);
    const segment = size === undefined ? undefined : parseSegment(name, size);
    if (!size || !segment) return;
    const depth = this.#ctx.config.wal.prefetch ?? 0;
    const isNear = (other: string): boolean => {
      const number = parseSegment(other, size)?.number;
      return number !== undefined && number >= segment.number - KEEP_BEHIND && number <= segment.number + depth;
    };
    for (const other of new Set([...this.#ready.keys(), ...this.#written])) if (!isNear(other)) void this.#drop(other);
    for (let n = 1; n <= depth; n += 1) this.#begin(segmentName({ ...segment, number: segment.number + n }, size));
  }

  /** Waits for what is still being read, so that nothing is written any more. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#ready.values());
  }

  /** Every segment of a cluster has the same size: that of one which was read, or of the one that the server has just got. */
  async #sizeBy(name: string): Promise<number | undefined> {
    const candidates = [join(this.#place, name), join(this.#dataDir, 'pg_wal', name), join(this.#dataDir, 'pg_wal', 'RECOVERYXLOG')];
    for (const file of candidates) this.#segmentBytes ??= (await stat(file).catch(() => undefined))?.size;
    return this.#segmentBytes;
  }

  /** The whole answer of `fetch`; where nothing is found, the lineage is looked up anew. */
  async #fetchNow(name: string): Promise<string | undefined> {
    const lineage = await this.#lineageOf();
    const plain = (await fetchFrom(this.#ctx, lineage, name)) ?? (await this.#fetchElsewhere(name, lineage));
    return plain && this.#write(name, plain);
  }

  async #fetchElsewhere(name: string, known: string): Promise<Buffer | undefined> {
    this.#lineage = undefined;
    const lineage = await this.#lineageOf();
    return lineage === known ? undefined : fetchFrom(this.#ctx, lineage, name);
  }

  #lineageOf(): Promise<string> {
    this.#lineage ??= lineageOf(this.#ctx, this.#dataDir).catch(error => {
      this.#lineage = undefined;
      throw error;
    });
    return this.#lineage;
  }

  #begin(name: string): void {
    if (this.#ready.has(name)) return;
    const made = this.#readWhole(name);
    this.#ready.set(name, made);
    const forget = (): void => void (this.#ready.get(name) === made && this.#ready.delete(name));
    made.then(path => path ?? forget(), forget);
  }

  async #readWhole(name: string): Promise<string | undefined> {
    const lineage = await this.#lineageOf();
    const copies = (await this.#list(lineage, name.slice(0, LISTED_DIGITS))).get(name);
    return copies && this.#write(name, await readFirstWhole(this.#ctx, lineage, copies));
  }

  #list(lineage: string, digits: string): Promise<Listing> {
    const now = this.#ctx.clock.now().getTime();
    const known = this.#listed.get(digits);
    if (known && now - known.at < LISTED_MS) return known.listing;
    const listing = holdingsOf(this.#ctx, lineage, digits).then(({ copies }) => copies);
    for (const other of this.#listed.keys()) if (other !== digits) this.#listed.delete(other);
    this.#listed.set(digits, { at: now, listing });
    return listing;
  }

  async #write(name: string, plain: Buffer): Promise<string> {
    const path = join(this.#place, name);
    await writeFile(`${path}.part`, plain, { mode: 0o600 });
    spent(plain);
    await rename(`${path}.part`, path);
    this.#written.add(name);
    return path;
  }

  async #drop(name: string): Promise<void> {
    await this.#ready.get(name)?.catch(() => undefined);
    this.#ready.delete(name);
    this.#written.delete(name);
    await rm(join(this.#place, name), { force: true });
  }
}
