import { type FileHandle, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BkpError, hasNoRoom } from '../../../core/errors.ts';
import type { Stretch } from '../../../core/postgres/history.ts';
import { parseSegment, type Segment, segmentName, segmentStart } from '../../../core/postgres/lsn.ts';
import { isAstray } from '../../../core/postgres/resume.ts';
import { pasted } from '../../../core/shell.ts';
import { makeDir } from '../../../flow/makeDir.ts';

/** The largest page of WAL that PostgreSQL can be built with: a block of it without any byte was never written, for each page has a header. */
const PAGE = 64 * 1024;
const NOTHING = Buffer.alloc(PAGE);

/** Behind the last byte from `from` on that is not zero; the receiver fills a new file with zeros before it writes. */
async function writtenTo(file: FileHandle, from: number): Promise<number> {
  const block = Buffer.alloc(PAGE);
  let end = from;
  for (let at = from - (from % PAGE); ; at += PAGE) {
    const { bytesRead } = await file.read(block, 0, PAGE, at);
    let last = bytesRead;
    if (bytesRead === PAGE && block.equals(NOTHING)) last = 0;
    while (last > 0 && block[last - 1] === 0) last -= 1;
    if (last > 0) end = Math.max(end, at + last);
    if (last === 0 || bytesRead < PAGE) return end;
  }
}

/** The disk of the spool failed, or has no room: no store is to blame. */
export class SpoolFault extends BkpError {
  /** @param why in words of the file system */
  constructor(dir: string, why: string, cause?: unknown) {
    const what = `the spool ${dir} on this host fails: ${why}; make room there, or let \`spool:\` name a directory on a sound disk`;
    super('failed', `${what} (the server keeps its WAL meanwhile)`, { next: `df -h ${pasted(dir)}`, cause });
  }
}

/** The directory into which pg_receivewal writes. What its disk does not do is thrown as a SpoolFault. */
export class Spool {
  readonly dir: string;
  readonly segmentBytes: number;

  constructor(dir: string, segmentBytes: number) {
    this.dir = dir;
    this.segmentBytes = segmentBytes;
  }

  /** Makes the directory. @throws BkpError('refused') where that takes a person, a SpoolFault where it takes room */
  prepare = (): Promise<unknown> =>
    makeDir(this.dir, 0o700).catch(error => {
      const cause = (error as BkpError).cause as NodeJS.ErrnoException | undefined;
      throw hasNoRoom(cause) ? new SpoolFault(this.dir, cause!.message, error) : error;
    });

  /** Names of everything in it. */
  names = async (): Promise<string[]> => (await this.#own(() => readdir(this.dir))).sort();

  /** Segments and `.partial` files behind which a server of history `path` has nothing to send, oldest first. */
  astray = async (path: readonly Stretch[]): Promise<string[]> =>
    (await this.names()).filter(name => isAstray(name, path, this.segmentBytes));

  /** Names of finished files, oldest first: whole segments and histories; `.partial` of a timeline that has been left. */
  async finished(): Promise<string[]> {
    const names = await this.names();
    const newest = names.findLast(name => /^[0-9A-F]{24}(\.partial)?$/.test(name))?.slice(0, 8) ?? '';
    const done = names.filter(
      name =>
        /^[0-9A-F]{24}$/.test(name) ||
        /^[0-9A-F]{8}\.history$/.test(name) ||
        (/^[0-9A-F]{24}\.partial$/.test(name) && name.slice(0, 8) < newest),
    );
    return [...done.filter(name => name.endsWith('.history')), ...done.filter(name => !name.endsWith('.history'))];
  }

  /** True when nothing tells pg_receivewal where to go on. */
  async isEmpty(): Promise<boolean> {
    return !(await this.names()).some(name => /^[0-9A-F]{24}(\.partial)?$/.test(name));
  }

  /** The segment that the receiver writes now: without `.partial`; undefined where there is none. */
  async open(): Promise<string | undefined> {
    const newest = (await this.names()).findLast(name => /^[0-9A-F]{24}(\.partial)?$/.test(name));
    return newest?.endsWith('.partial') ? newest.slice(0, 24) : undefined;
  }

  /**
   * The bytes of the open segment from `from` to the last that is not zero, once they are on the disk: what is stored must not be more than
   * what the receiver keeps if its machine fails. @returns undefined when the segment was finished meanwhile
   */
  written = (name: string, from: number): Promise<Buffer | undefined> => this.#own(() => this.#writtenIn(`${name}.partial`, from));

  /** The bytes of a file that is there, up to the last that is not zero. */
  trimmed = async (file: string): Promise<Buffer> => (await this.#own(() => this.#writtenIn(file, 0))) ?? Buffer.alloc(0);

  async #own<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw new SpoolFault(this.dir, (error as Error).message, error);
    }
  }

  async #writtenIn(name: string, from: number): Promise<Buffer | undefined> {
    const file = await open(join(this.dir, name)).catch(error => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (!file) return undefined;
    try {
      const end = await writtenTo(file, from);
      if (end <= from) return Buffer.alloc(0);
      await file.datasync();
      const bytes = Buffer.alloc(end - from);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
      return bytes.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /** When something was last written into the newest segment, in ms since 1970; 0 for an empty spool. */
  async touched(): Promise<number> {
    const newest = (await this.names()).findLast(name => /^[0-9A-F]{24}(\.partial)?$/.test(name));
    if (newest === undefined) return 0;
    const seen = await stat(join(this.dir, newest)).catch(() => undefined);
    return seen?.mtimeMs ?? 0;
  }

  /** The bytes of a file; undefined where it was taken out meanwhile. */
  find = (name: string): Promise<Buffer | undefined> =>
    this.#own(() => readFile(join(this.dir, name)).catch(error => (error.code === 'ENOENT' ? undefined : Promise.reject(error))));

  read = (name: string): Promise<Buffer> => this.#own(() => readFile(join(this.dir, name)));

  remove = (name: string): Promise<void> => this.#own(() => rm(join(this.dir, name), { force: true }));

  rename = (from: string, to: string): Promise<void> => this.#own(() => rename(join(this.dir, from), join(this.dir, to)));

  /**
   * Makes pg_receivewal begin at the start of `segment`: an empty `.partial` is where it goes on. A whole segment before it would do
   * too, but not for segment 1: number 0 counts as "nothing there", and it would start at the server's present end (tried on 15.20 and 18.6).
   */
  async seed(segment: Segment): Promise<void> {
    const path = join(this.dir, `${segmentName(segment, this.segmentBytes)}.partial`);
    await this.#own(async () => (await open(path, 'wx', 0o600)).close());
  }

  /** Whole size, and the page header of its first page names this very segment: not a torn file. */
  async isReal(name: string, plain: Buffer): Promise<boolean> {
    if (name.endsWith('.history')) return plain.length > 0;
    const segment = parseSegment(name.slice(0, 24), this.segmentBytes);
    if (!segment || plain.length !== this.segmentBytes) return false;
    return plain.readUInt16LE(0) !== 0 && plain.readBigUInt64LE(8) === segmentStart(segment.number, this.segmentBytes);
  }

  /** Empties the spool; for a declared gap. */
  async clear(): Promise<void> {
    for (const name of await this.names()) await this.remove(name);
  }
}
