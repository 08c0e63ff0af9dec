import { join } from 'node:path';
import { BkpError } from '../../../core/errors.ts';
import { parseSegment, type Segment } from '../../../core/postgres/lsn.ts';
import type { Spool } from './spool.ts';

const SUFFIX = '.partial.before';

/**
 * What an earlier receiver left of the open segment. pg_receivewal begins that segment anew and writes over what is there, so one cannot see
 * which bytes the server has just sent, and which are old, perhaps of a history that it no longer has. So the old ones lie aside until the
 * server has sent as many, and are compared with them.
 */
export class Resent {
  readonly #spool: Spool;
  #names: string[] = [];

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /**
   * Before a receiver starts: puts the open segment aside, and an empty one in its place.
   * @throws BkpError('conflict') as `check`
   */
  async setAside(): Promise<void> {
    await this.takeBack();
    const name = await this.#spool.open();
    if (name === undefined || (await this.#spool.written(name, 0))?.length === 0) return;
    await this.#spool.rename(`${name}.partial`, `${name}${SUFFIX}`);
    await this.#spool.seed(parseSegment(name, this.#spool.segmentBytes) as Segment);
    this.#names = [name];
  }

  /**
   * Makes of a spool what it would be had nothing been set aside: what the server has not sent again lies in its place.
   * @throws BkpError('conflict') as `check`
   */
  async takeBack(): Promise<void> {
    this.#names = (await this.#spool.names()).filter(name => name.endsWith(SUFFIX)).map(name => name.slice(0, -SUFFIX.length));
    await this.look();
    for (const name of this.#names) await this.#spool.rename(`${name}${SUFFIX}`, `${name}.partial`);
    this.#names = [];
  }

  /** Looks whether all has come again by now. @throws BkpError('conflict') as `check` */
  async look(): Promise<void> {
    for (const name of this.#names) {
      const fresh = await this.#spool.written(name, 0);
      if (fresh) await this.check(name, fresh);
      else if ((await this.#spool.names()).includes(name)) await this.check(name, await this.#spool.read(name));
      await this.#leave(name);
    }
  }

  /** After a failover the rest does not come: it belongs to what the old primary wrote, which is stored as such. */
  async #leave(name: string): Promise<void> {
    const open = await this.#spool.open();
    if (!this.#names.includes(name) || open === undefined || open.slice(0, 8) <= name.slice(0, 8)) return;
    await this.#spool.rename(`${name}${SUFFIX}`, `${name}.partial`);
    this.#names = this.#names.filter(each => each !== name);
  }

  /**
   * Compares the beginning of a segment that the server has sent with what was set aside of it, which goes once all has come.
   * @throws BkpError('conflict') where the server sends other bytes than it did before
   */
  async check(name: string, fresh: Buffer): Promise<void> {
    if (!this.#names.includes(name)) return;
    const old = await this.#spool.trimmed(`${name}${SUFFIX}`);
    const shared = Math.min(old.length, fresh.length);
    if (!old.subarray(0, shared).equals(fresh.subarray(0, shared)))
      throw new BkpError('conflict', `WAL ${name} is in the spool ${this.#spool.dir} with another content than the server sends`, {
        next: [
          'the server was set back, or another one answers in its place: find out which is the original',
          `what it had written is in ${join(this.#spool.dir, `${name}${SUFFIX}`)}; bkp stream postgres --new-lineage begins anew without it`,
        ],
      });
    if (fresh.length < old.length) return;
    await this.#spool.remove(`${name}${SUFFIX}`);
    this.#names = this.#names.filter(each => each !== name);
  }
}
