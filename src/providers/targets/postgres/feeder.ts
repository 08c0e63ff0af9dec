import { type FSWatcher, watch } from 'node:fs';
import { chown, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BkpError } from '../../../core/errors.ts';
import { historyName, parseSegment, segmentName } from '../../../core/postgres/lsn.ts';
import type { Reach } from '../../../core/postgres/plan.ts';
import { spent } from '../../../core/spent.ts';
import { Wire } from './wire.ts';

/** PostgreSQL asks again for the first and the last segments, so a few stay. */
const KEEP_BEHIND = 8;

/** What the feeder may hand out. `read` yields the plain bytes of an archived file, which are the feeder's then, or undefined when no store has it. */
export interface FeederSource {
  reach: Reach;
  /** Segments that are read ahead of replay; 0 = none. */
  ahead: number;
  read(name: string): Promise<Buffer | undefined>;
  /** Looks at a segment before a server gets it. Throws BkpError when it must not. */
  check?(name: string, plain: Buffer): Promise<void>;
}

/** Directories of a feeder: what lies ready, marks of what no store has, marks of what the server took, and what is not checked yet. */
export const feederPlaces = (dir: string): { ready: string; absent: string; taken: string; raw: string } => ({
  ready: join(dir, 'ready'),
  absent: join(dir, 'absent'),
  taken: join(dir, 'taken'),
  raw: join(dir, 'raw'),
});

/** What a server asks for at the end of recovery, and no store has as a rule: the segment behind, and the histories of its timeline and of the next one. */
function lastAsked({ base, segments, timeline }: Reach): string[] {
  const last = parseSegment(segments.at(-1) ?? '', base.segmentBytes);
  const behind = last ? [segmentName({ ...last, number: last.number + 1 }, base.segmentBytes)] : [];
  return [...behind, historyName(timeline), historyName(timeline + 1)];
}

/** Serves a private server's restore_command over a Unix socket, and remembers why it stopped one. */
export class Feeder {
  readonly socket: string;
  readonly #source: FeederSource;
  readonly #dir: string;
  readonly #owner: { uid: number; gid: number } | undefined;
  readonly #ready = new Map<string, Promise<string | undefined>>();
  readonly #wire: Wire;
  readonly #laying = new Set<Promise<string | undefined>>();
  #watching: FSWatcher | undefined;
  #closed = false;
  #trouble: unknown;
  served = 0;

  constructor(source: FeederSource, dir: string, owner?: { uid: number; gid: number }) {
    this.#source = source;
    this.#dir = dir;
    this.#owner = owner;
    this.socket = join(dir, 'wal');
    this.#wire = new Wire(name => this.#answer(name));
  }

  /** The first thing that went wrong while serving; a restore that failed reports this instead of the server's words. */
  get trouble(): unknown {
    return this.#trouble;
  }

  async listen(): Promise<void> {
    const places = Object.values(feederPlaces(this.#dir));
    for (const path of places) {
      // A server that was here before took what it needed.
      await rm(path, { recursive: true, force: true });
      await mkdir(path, { mode: 0o700 });
    }
    const { ready, absent, taken } = feederPlaces(this.#dir);
    await this.#wire.listen(this.socket);
    if (this.#owner) for (const path of [this.socket, ready, absent, taken]) await chown(path, this.#owner.uid, this.#owner.gid);
    this.#watching = watch(taken, (_, name) => void (name !== null && this.#note(name)));
    // The server asks for the first of them once it has come up.
    const { reach, ahead } = this.#source;
    if (ahead > 0) for (const name of [...reach.segments.slice(0, ahead), ...lastAsked(reach)]) void this.#prepare(name);
  }

  /** Nothing is written any more once this answers; what is still being read is forgotten. */
  close = async (): Promise<void> => {
    this.#closed = true;
    this.#watching?.close();
    await this.#wire.close();
    await Promise.allSettled(this.#laying);
  };

  /** The server took a file that lay ready, without a question. */
  #note(name: string): void {
    const mark = join(feederPlaces(this.#dir).taken, name);
    rm(mark).then(
      () => {
        this.served += 1;
        this.#ahead(name);
      },
      // The removal is an event, too.
      () => {},
    );
  }

  async #answer(name: string): Promise<string | undefined> {
    try {
      return await this.#lookUp(name);
    } catch (error) {
      this.#trouble ??= error;
      throw error;
    }
  }

  async #lookUp(name: string): Promise<string | undefined> {
    const path = await this.#prepare(name);
    if (path !== undefined) {
      this.served += 1;
      this.#ahead(name);
      return path;
    }
    if (this.#mayBeAbsent(name)) return undefined;
    throw new BkpError('verifyFailed', `WAL ${name} is needed to reach the target, and no store holds it`);
  }

  /** Absent is an answer for histories, for what the base has inside, and behind the planned end; anything else is a hole. */
  #mayBeAbsent(name: string): boolean {
    const { base, end } = this.#source.reach;
    const segment = parseSegment(name.slice(0, 24), base.segmentBytes);
    if (!segment || name.length !== 24) return true;
    const size = BigInt(base.segmentBytes);
    const inside = BigInt(segment.number) * size < base.to && BigInt(segment.number + 1) * size > base.from;
    return inside || BigInt(segment.number) * size >= end || !this.#source.reach.segments.includes(name);
  }

  #prepare(name: string): Promise<string | undefined> {
    const known = this.#ready.get(name);
    if (known) return known;
    const made = this.#fetch(name);
    this.#ready.set(name, made);
    // What failed when it was read ahead is tried again once it is asked for.
    made.catch(() => this.#ready.delete(name));
    return made;
  }

  async #fetch(name: string): Promise<string | undefined> {
    const plain = await this.#source.read(name);
    // Whoever closed it removes the directory.
    if (this.#closed || (plain === undefined && !this.#mayBeAbsent(name))) return undefined;
    const laid = plain === undefined ? this.#markAbsent(name) : this.#lay(name, plain);
    this.#laying.add(laid);
    return laid.finally(() => this.#laying.delete(laid));
  }

  /** The server is told so without a question from now on. */
  async #markAbsent(name: string): Promise<undefined> {
    await writeFile(join(feederPlaces(this.#dir).absent, name), '');
    return undefined;
  }

  async #lay(name: string, plain: Buffer): Promise<string> {
    const { ready, raw } = feederPlaces(this.#dir);
    if (/^[0-9A-F]{24}$/.test(name)) await this.#source.check?.(name, plain);
    await writeFile(join(raw, name), plain, { mode: 0o600 });
    spent(plain);
    if (this.#owner) await chown(join(raw, name), this.#owner.uid, this.#owner.gid);
    // What lies there is taken without a question: whole and checked, or not at all.
    await rename(join(raw, name), join(ready, name));
    return join(ready, name);
  }

  /** Keeps the next few segments ready, and forgets those that replay has left behind. */
  #ahead(name: string): void {
    const { segments } = this.#source.reach;
    const at = segments.indexOf(name);
    if (at < 0 || this.#closed) return;
    for (const next of segments.slice(at + 1, at + 1 + this.#source.ahead)) void this.#prepare(next);
    for (const old of segments.slice(1, Math.max(1, at - KEEP_BEHIND + 1))) if (this.#ready.has(old)) void this.#drop(old);
  }

  async #drop(name: string): Promise<void> {
    const path = await this.#ready.get(name)?.catch(() => undefined);
    this.#ready.delete(name);
    if (path !== undefined) await rm(path, { force: true });
  }
}
