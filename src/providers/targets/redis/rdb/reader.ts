import { BkpError } from '../../../../core/errors.ts';
import { Crc64 } from './crc64.ts';
import { Cursor } from './cursor.ts';
import { type Magic, MODULE, NUMBER, passOf, TEXT, TYPE } from './types.ts';

/** The keys of one database of a dump. */
export interface Keys {
  keys: number;
  /** Of these, how many have a time at which they go. */
  expires: number;
  /** How many were past it when the dump was read: a server drops them as it loads them. */
  expired: number;
  /** How many go within the horizon, or have fields that go one by one: whether they are still there later nobody can say. */
  fading: number;
}

/** What a whole dump says of itself. */
export interface Rdb {
  magic: Magic;
  /** Version of the format: 10 for Redis 7.0, 11 for 7.2, 80 for Valkey 9 … */
  version: number;
  /** Auxiliary fields, such as `redis-ver` and `ctime` (seconds). */
  aux: ReadonlyMap<string, string>;
  /** Keys by number of the database; undefined where the dump holds a type that this reader does not know. */
  databases?: ReadonlyMap<number, Keys>;
  /** Types of modules whose data are in it: a server without the module of each ends itself over them. */
  moduleTypes: readonly string[];
  /** Function libraries. */
  functions: number;
  bytes: number;
  /** Bytes of the keys, without header, functions and checksum; 0 when there is not one key. */
  contentBytes: number;
  /** `none`: the server computes none, and wrote zeros. */
  checksum: 'right' | 'none';
}

const HEAD = 9;
const TAIL = 8;
const END = 255;

const OPCODE = { slot: 244, functions: 245, moduleAux: 247, idle: 248, freq: 249, aux: 250, resize: 251, ms: 252, s: 253, select: 254 };

/** What comes next. */
type State = 'opcode' | 'aux' | 'select' | 'ms' | 's' | 'passing';

const bad = (text: string): BkpError => new BkpError('failed', `the dump is no whole RDB: ${text}`);

/** The format of a dump by its first nine bytes. Throws BkpError('failed') when it is none. */
export function readHead(head: Buffer): { magic: Magic; version: number } {
  const [, magic, digits] = /^(?:(REDIS|VALKEY))(\d{3,4})$/.exec(head.subarray(0, HEAD).toString('latin1')) ?? [];
  if (magic && digits) return { magic: magic as Magic, version: Number(digits) };
  throw bad(head.length === 0 ? 'it is empty' : `it begins with ${JSON.stringify(head.subarray(0, HEAD).toString('latin1'))}`);
}

/**
 * Reads a dump as it streams by, in the memory of a chunk: that it is whole to its end mark, that its CRC64 is right, and how many keys it
 * has. A type that is not known ends the counting, and not the check.
 */
export class RdbReader {
  readonly #cursor = new Cursor();
  readonly #crc = new Crc64();
  readonly #now: number;
  readonly #until: number;
  readonly #aux = new Map<string, string>();
  readonly #databases = new Map<number, Keys>();
  #head: { magic: Magic; version: number } | undefined;
  /** The last bytes that came, of which eight may be the checksum. */
  #held: Buffer = Buffer.alloc(0);
  #bytes = 0;
  /** Where the keys began. */
  #content: number | undefined;
  #functions = 0;
  #current: Keys | undefined;
  #expires: number | undefined;
  #counting = true;
  #ended = false;
  #state: State = 'opcode';

  /**
   * @param now instant (ms) by which keys count as gone
   * @param horizon for how long (ms) after it nobody can say of those that go whether they are still there
   */
  constructor(now: number, horizon = 0) {
    this.#now = now;
    this.#until = now + horizon;
  }

  /** Takes the next bytes, which the caller may use again afterwards. Throws BkpError('failed') as soon as the dump cannot be right. */
  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#checksum(bytes);
    this.#bytes += bytes.length;
    if (!this.#counting) return;
    this.#cursor.feed(bytes);
    this.#walk();
    this.#cursor.rest();
  }

  /** After the last byte. Throws BkpError('failed') when the dump is not whole. */
  end(): Rdb {
    if (!this.#head) readHead(this.#held);
    const body = this.#bytes - TAIL;
    if (this.#counting && !this.#ended) throw bad(`it ends after ${this.#bytes} bytes without its end mark`);
    if (this.#held.length < TAIL + 1 || this.#held[this.#held.length - TAIL - 1] !== END)
      throw bad('its end mark is not where it has to be');
    if (this.#counting && this.#cursor.left !== TAIL) throw bad(`${this.#cursor.left} bytes follow its end mark, and ${TAIL} have to`);
    const counted = [...this.#databases.values()].some(({ keys }) => keys > 0) || !this.#counting;
    return {
      ...this.#head!,
      aux: this.#aux,
      ...(this.#counting ? { databases: this.#databases } : {}),
      moduleTypes: [...this.#cursor.types].sort(),
      functions: this.#functions,
      bytes: this.#bytes,
      contentBytes: counted ? body - 1 - (this.#content ?? HEAD) : 0,
      checksum: this.#verdict(),
    };
  }

  #checksum(bytes: Buffer): void {
    const keep = TAIL + 1;
    if (bytes.length < keep) {
      const all = Buffer.concat([this.#held, bytes]);
      const out = Math.max(0, all.length - keep);
      this.#crc.update(all, 0, out);
      this.#held = all.subarray(out);
      return;
    }
    this.#crc.update(this.#held);
    this.#crc.update(bytes, 0, bytes.length - keep);
    this.#held = Buffer.from(bytes.subarray(bytes.length - keep));
  }

  #verdict(): Rdb['checksum'] {
    const tail = this.#held.subarray(-TAIL);
    this.#crc.update(this.#held, 0, this.#held.length - TAIL);
    if (tail.equals(this.#crc.digest())) return 'right';
    if (tail.every(byte => byte === 0)) return 'none';
    throw bad('its CRC64 is not that of its bytes');
  }

  #walk(): void {
    if (!this.#head) {
      const head = this.#cursor.take(HEAD);
      if (!head) return;
      this.#head = readHead(head);
    }
    while (this.#counting && !this.#ended && this.#one());
  }

  /** One opcode or one part of it. False where bytes are wanting. */
  #one(): boolean {
    if (this.#state === 'opcode') return this.#opcode();
    if (this.#state === 'passing') return this.#cursor.pass() && this.#to('opcode');
    if (this.#state === 'aux') return this.#field();
    if (this.#state === 'select') return this.#cursor.number() && this.#select(this.#cursor.value);
    return this.#expiry(this.#state === 'ms' ? 8 : 4);
  }

  #to(state: State): true {
    this.#state = state;
    return true;
  }

  #passing(...steps: Parameters<Cursor['begin']>[0]): true {
    this.#cursor.begin(steps);
    return this.#to('passing');
  }

  #opcode(): boolean {
    const code = this.#cursor.byte();
    if (code === -1) return false;
    switch (code) {
      case END:
        this.#ended = true;
        return true;
      case OPCODE.aux:
        return this.#to('aux');
      case OPCODE.select:
        this.#content ??= this.#bytes - this.#cursor.left - 1;
        return this.#to('select');
      case OPCODE.resize:
        return this.#passing(NUMBER, NUMBER);
      case OPCODE.ms:
        return this.#to('ms');
      case OPCODE.s:
        return this.#to('s');
      case OPCODE.freq:
        return this.#passing(1);
      case OPCODE.idle:
        return this.#passing(NUMBER);
      case OPCODE.slot:
        return this.#passing(NUMBER, NUMBER, NUMBER);
      case OPCODE.moduleAux:
        return this.#passing(TYPE, MODULE);
      case OPCODE.functions:
        this.#functions += 1;
        return this.#passing(TEXT);
      default:
        return this.#key(code);
    }
  }

  #field(): boolean {
    const [before, name] = [this.#cursor.left, this.#cursor.text()];
    if (name === undefined) return false;
    const value = this.#cursor.text();
    if (value === undefined) {
      this.#cursor.back(before - this.#cursor.left);
      return false;
    }
    this.#aux.set(name, value);
    return this.#to('opcode');
  }

  #select(database: number): true {
    this.#current = this.#databases.get(database) ?? { keys: 0, expires: 0, expired: 0, fading: 0 };
    this.#databases.set(database, this.#current);
    return this.#to('opcode');
  }

  #expiry(length: 4 | 8): boolean {
    const bytes = this.#cursor.take(length);
    if (!bytes) return false;
    this.#expires = length === 8 ? Number(bytes.readBigInt64LE()) : bytes.readInt32LE() * 1000;
    return this.#to('opcode');
  }

  #key(type: number): boolean {
    const value = passOf(this.#head!.magic, type);
    if (!value || !this.#current) {
      this.#counting = false;
      return false;
    }
    this.#count(this.#current, this.#expires, value.fields);
    this.#expires = undefined;
    return this.#passing(TEXT, ...value.steps);
  }

  #count(into: Keys, expires: number | undefined, fields: boolean): void {
    into.keys += 1;
    if (expires !== undefined) into.expires += 1;
    if (expires !== undefined && expires <= this.#now) into.expired += 1;
    else if (fields || (expires !== undefined && expires <= this.#until)) into.fading += 1;
  }
}
