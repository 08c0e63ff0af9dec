import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { BkpError } from '../../../core/errors.ts';
import { parseSegment } from '../../../core/postgres/lsn.ts';
import type { Reach } from '../../../core/postgres/plan.ts';

const END_OF_WAL = 74;
const STOP = 255;
const AHEAD = 4;
/** PostgreSQL asks again for the first and the last segments, so a few stay. */
const KEEP_BEHIND = 8;

/** What the feeder may hand out. `read` yields the plain bytes of an archived file, or undefined when no store has it. */
export interface FeederSource {
  reach: Reach;
  read(name: string): Promise<Buffer | undefined>;
  /** Looks at a segment before a server gets it. Throws BkpError when it must not. */
  check?(file: string): Promise<void>;
}

/** Serves a private server's restore_command over a Unix socket, and remembers why it stopped one. */
export class Feeder {
  readonly socket: string;
  readonly #source: FeederSource;
  readonly #dir: string;
  readonly #owner: { uid: number; gid: number } | undefined;
  readonly #ready = new Map<string, Promise<string | undefined>>();
  readonly #server: Server;
  #trouble: unknown;
  served = 0;

  constructor(source: FeederSource, dir: string, owner?: { uid: number; gid: number }) {
    this.#source = source;
    this.#dir = dir;
    this.#owner = owner;
    this.socket = join(dir, 'wal');
    this.#server = createServer({ allowHalfOpen: true }, link => this.#answer(link));
  }

  /** The first thing that went wrong while serving; a restore that failed reports this instead of the server's words. */
  get trouble(): unknown {
    return this.#trouble;
  }

  async listen(): Promise<void> {
    await mkdir(join(this.#dir, 'ready'), { mode: 0o700, recursive: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.socket, () => resolve());
    });
    if (this.#owner) for (const path of [this.socket, join(this.#dir, 'ready')]) await chown(path, this.#owner.uid, this.#owner.gid);
  }

  close = (): Promise<void> => new Promise(resolve => this.#server.close(() => resolve()));

  #answer(link: Socket): void {
    let asked = '';
    link.setEncoding('utf8');
    link.on('error', () => link.destroy());
    link.on('data', chunk => {
      asked += chunk;
      if (!asked.includes('\n')) return;
      this.#lookUp(asked.trim()).then(
        path => link.end(path === undefined ? `${END_OF_WAL}` : `0 ${path}`),
        error => {
          this.#trouble ??= error;
          link.end(`${STOP}`);
        },
      );
    });
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
    made.catch(() => {});
    return made;
  }

  async #fetch(name: string): Promise<string | undefined> {
    const plain = await this.#source.read(name);
    if (plain === undefined) return undefined;
    const path = join(this.#dir, 'ready', name);
    await writeFile(path, plain, { mode: 0o600 });
    if (/^[0-9A-F]{24}$/.test(name)) await this.#source.check?.(path);
    if (this.#owner) await chown(path, this.#owner.uid, this.#owner.gid);
    return path;
  }

  /** Keeps the next few segments ready, and forgets those that replay has left behind. */
  #ahead(name: string): void {
    const { segments } = this.#source.reach;
    const at = segments.indexOf(name);
    if (at < 0) return;
    for (const next of segments.slice(at + 1, at + 1 + AHEAD)) void this.#prepare(next);
    const old = segments[at - KEEP_BEHIND];
    if (old !== undefined && at - KEEP_BEHIND > 0) void this.#drop(old);
  }

  async #drop(name: string): Promise<void> {
    const path = await this.#ready.get(name);
    this.#ready.delete(name);
    if (path !== undefined) await rm(path, { force: true });
  }
}
