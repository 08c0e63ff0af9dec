import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause } from '../../test/real/rig/index.ts';
import { KINDS, type Kind, type World } from './world.ts';

const EVERY_MS = 200;

const WRITE: Readonly<Record<Kind, (world: World, n: number) => Promise<unknown>>> = {
  postgres: ({ db }, n) => db.sql(`insert into chaos (n) values (${n}) on conflict do nothing`),
  redis: async ({ redis }, n) => {
    if ((await redis.cli('SET', `chaos:${n}`, String(n))) !== 'OK') throw new Error('not taken');
  },
  etcd: ({ etcd }, n) => etcd.ask('put', `/chaos/${n}`, String(n)),
  volumes: async ({ files }, n) => {
    writeFileSync(join(files, `.${n}`), `${n}\n`.repeat(200));
    renameSync(join(files, `.${n}`), join(files, `n-${n}`));
  },
};

/** Writes 1, 2, 3 … to each source, the next one only once the last was acknowledged; a server that is gone is asked again. */
export class Load {
  /** The last number that each source acknowledged. */
  readonly acknowledged: Record<Kind, number> = { postgres: 0, redis: 0, etcd: 0, volumes: 0 };
  /** When each number of PostgreSQL was acknowledged, ms. */
  readonly times: number[] = [];
  #on = true;
  readonly #writers: Promise<void>[];

  constructor(world: World) {
    this.#writers = KINDS.map(kind => this.#write(world, kind));
  }

  async #write(world: World, kind: Kind): Promise<void> {
    while (this.#on) {
      const n = this.acknowledged[kind] + 1;
      try {
        await WRITE[kind](world, n);
        this.acknowledged[kind] = n;
        if (kind === 'postgres') this.times[n] = Date.now();
      } catch {
        // It is down, as it was told to be: the same number again.
      }
      await pause(EVERY_MS);
    }
  }

  /** Writes nothing more. @returns what was acknowledged */
  async stop(): Promise<Record<Kind, number>> {
    this.#on = false;
    await Promise.all(this.#writers);
    return { ...this.acknowledged };
  }
}
