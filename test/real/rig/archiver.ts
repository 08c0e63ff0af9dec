import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BkpOptions, runBkp } from './bkp.ts';
import type { Ended } from './child.ts';
import type { Postgres } from './postgres.ts';
import { tempDir } from './temp.ts';
import { pause } from './wait.ts';

/** A server's archiver, whose archive_command asks this process to run the built `bkp wal push` where it waits. */
export interface Archiver {
  /** Every push so far. */
  pushed: { name: string; ended: Ended }[];
  stop(): Promise<void>;
}

/** Asks by a file for each segment, waits for an answer, and ends with the code that is in it. */
const COMMAND = (dir: string): string =>
  `echo "$(pwd)/%p" > ${dir}/%f.asked; while [ ! -e ${dir}/%f.answered ]; do sleep 0.05; done; code=$(cat ${dir}/%f.answered); rm ${dir}/%f.asked ${dir}/%f.answered; exit $code`;

/** Whole and open to all from the first moment: it is read, and taken away, as soon as it is there. */
function answered(file: string, code: string): void {
  writeFileSync(`${file}.new`, code);
  chmodSync(`${file}.new`, 0o666);
  renameSync(`${file}.new`, file);
}

/**
 * Turns archiving on: the account of the server may neither read the keys nor run the program of whoever runs the tests.
 * @param options how bkp is run, asked anew for each file
 */
export async function startArchiver(db: Postgres, options: () => BkpOptions): Promise<Archiver> {
  const dir = join(tempDir({ forServer: true }), 'asked');
  mkdirSync(dir);
  chmodSync(dir, 0o777);
  db.configure({ archive_mode: 'on', archive_command: COMMAND(dir), archive_timeout: '0' });
  await db.restart();
  const pushed: Archiver['pushed'] = [];
  let running = true;
  const loop = (async () => {
    while (running) {
      for (const file of readdirSync(dir).filter(each => each.endsWith('.asked'))) {
        const name = file.slice(0, -'.asked'.length);
        const answer = join(dir, `${name}.answered`);
        // Whoever asked takes the question away first: without an answer, one that is still there is a new one.
        if (existsSync(answer) || !existsSync(join(dir, file))) continue;
        const ended = await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...options(), cwd: db.dataDir });
        pushed.push({ name, ended });
        answered(answer, `${ended.code ?? 1}\n`);
      }
      await pause(30);
    }
  })();
  return {
    pushed,
    async stop() {
      running = false;
      await loop;
    },
  };
}
