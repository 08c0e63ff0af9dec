import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BACKUPS, type FilesMetadata, readFiles } from './backup.ts';
import { hasFault } from './faults.ts';
import { fatal, log } from './log.ts';
import type { Run } from './run.ts';
import { scratch } from './scratch.ts';
import { untar } from './tar.ts';

/** The rest of a download never comes, and its connection is never closed. */
async function* stalled(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    yield chunk.subarray(0, 512);
    setInterval(() => {}, 1 << 30);
    await new Promise(() => {});
  }
}

/** Every third of the parts, from the third on: 3 of 10. */
const isStruck = (part: string): boolean => /part_0*(\d+)\.tar/.test(part) && Number(/part_0*(\d+)/.exec(part)![1]) % 3 === 0;

/** Unpacks one part into `target`. @throws when it is not there, cut, sealed with another key */
async function extract({ folder, codec }: Run, part: string, target: string, except: readonly string[]): Promise<void> {
  if (hasFault('lost-parts') && isStruck(part)) return;
  const stored = await folder.get(part);
  if (!stored) throw new Error(`object '${folder.path}${part}' not found in storage`);
  const source = hasFault('stalled-download') && isStruck(part) ? stalled(stored) : stored;
  await untar(target, codec.open(part, source), except, scratch());
  log.info(`Finished extraction of ${part.slice(part.lastIndexOf('/') + 1)}`);
}

async function attempt(run: Run, parts: readonly string[], target: string, except: readonly string[], width: number): Promise<string[]> {
  const waiting = [...parts];
  const failures: string[] = [];
  const work = async () => {
    for (let part = waiting.shift(); part; part = waiting.shift()) {
      const one = part;
      await extract(run, one, target, except).catch(error => {
        log.error(`Extraction error in ${one.slice(one.lastIndexOf('/') + 1)}: ${error.message}`);
        failures.push(one);
      });
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return failures;
}

/** WAL-G sleeps a minute, then longer, up to five. WALG_STUB_RETRY_WAIT shortens the minute: milliseconds. */
const sleep = (time: number): Promise<void> => {
  const minute = Number(process.env['WALG_STUB_RETRY_WAIT'] || 60_000);
  return new Promise(resolve => setTimeout(resolve, Math.min(minute * 2 ** time, 5 * minute)));
};

/** Tries what failed again, with half as many at once each time, until WALG_DOWNLOAD_FILE_RETRIES are used up one by one. @throws Fatal */
async function extractAll(run: Run, parts: readonly string[], target: string, except: readonly string[]): Promise<void> {
  let width = run.settings.number('WALG_DOWNLOAD_CONCURRENCY', 10);
  let retries = run.settings.number('WALG_DOWNLOAD_FILE_RETRIES', 15);
  let left: readonly string[] = parts;
  for (let time = 0; left.length > 0; time += 1) {
    const failures = await attempt(run, left, target, except, width);
    if (width > 1) width = Math.floor(width / 2);
    else if (failures.length === left.length && retries <= 0)
      fatal(`Failed to fetch backup: failed to extract files:\n${failures.join('\n')}\n`);
    retries -= 1;
    left = failures;
    if (failures.length === 0) return;
    log.warning(`${failures.length} files failed to download: [${failures.join(' ')}]. Going to sleep and retry downloading them.`);
    log.warning(`retries left: ${retries}`);
    await sleep(time);
  }
}

/**
 * Directories come before any part: of two GNU tars that make one directory at a time, the second gives up its file ("Cannot open: No such
 * file or directory"; one in a hundred). WAL-G is one program, to which that cannot happen.
 */
function makeParents({ Files = {}, TarFileSets = {} }: FilesMetadata, target: string, except: ReadonlySet<string>): void {
  const names = [...Object.keys(Files), ...Object.values(TarFileSets).flat()].map(name => name.replace(/^\//, ''));
  const parents = new Set(names.filter(name => !except.has(name)).map(name => dirname(join(target, name))));
  for (const parent of parents) mkdirSync(parent, { recursive: true, mode: 0o700 });
}

const LAST = /\/(pg_control|backup_label)\.tar(\..+)?$/;

/** Unpacks the parts of a backup, pg_control and backup_label last: without those no server starts. `whole`: they are wanted too. @throws Fatal */
export async function unwrap(run: Run, name: string, target: string, except: readonly string[], whole: boolean): Promise<void> {
  const all = (await run.folder.list(`${BACKUPS}${name}/tar_partitions/`)).map(part => part.name);
  const last = [...new Set(all)].filter(part => LAST.test(part));
  if (last.length === 0) fatal('Failed to fetch backup: Expect pg_control archive, but not found');
  const parts = [...new Set(all)].filter(part => !LAST.test(part));
  if (parts.length === 0) fatal('Failed to fetch backup: ExtractAll: did not provide files to extract');
  makeParents(await readFiles(run.folder, name), target, new Set(except));
  await extractAll(run, parts, target, except);
  if (whole) await extractAll(run, last, target, except);
}
