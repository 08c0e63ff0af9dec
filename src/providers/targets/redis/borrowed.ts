import { BkpError, sentence } from '../../../core/errors.ts';
import type { Cli, Context } from './cli.ts';
import type { Version } from './formats.ts';
import { called, settingsOf } from './live.ts';

/** Settings of a running server that are changed for a while. Nothing is written to its configuration file. */
export class Borrowed {
  readonly #ctx: Context;
  readonly #before = new Map<string, string>();

  constructor(ctx: Context) {
    this.#ctx = ctx;
  }

  /**
   * Sets one, and remembers what it was.
   * @param meant what it should have been, where that is not what it was
   * @throws BkpError('refused') where the user may not, 'failed' with the server's words
   */
  async set(cli: Cli, server: Version, name: string, value: string, meant = (before: string): string => before): Promise<void> {
    const before = (await settingsOf(cli, server, [name]))?.get(name);
    if (before === undefined)
      throw new BkpError(
        'refused',
        `${called(this.#ctx)}: ${name} cannot be read: the user may not, CONFIG is renamed there, or the server has no such setting`,
        {
          next: `bkp doctor redis ${this.#ctx.name} prints the ACL line that allows it`,
        },
      );
    await cli.tell('CONFIG', 'SET', name, value);
    this.#before.set(name, meant(before));
  }

  /** Puts every one back. @returns what could not be, as what to type, without the value of a secret */
  async putBack(cli: Cli): Promise<string[]> {
    const left: string[] = [];
    for (const [name, value] of [...this.#before].reverse()) {
      try {
        await cli.tell('CONFIG', 'SET', name, value);
        this.#before.delete(name);
      } catch (error) {
        const shown = /auth/.test(name) ? 'what it was' : JSON.stringify(value);
        left.push(`CONFIG SET ${name} ${shown}   # could not be put back: ${sentence(error)}`);
      }
    }
    return left;
  }
}
