import { lstat } from 'node:fs/promises';
import type { Id, Store } from '../../../../core/contracts.ts';
import { BkpError } from '../../../../core/errors.ts';
import { type Context, hostOf, prefixOf, who } from './context.ts';
import { refuseFailed } from './faults.ts';
import { indexesIn, refuseLost, storedSince } from './packs.ts';
import { runRestic, words } from './program.ts';
import { onRepository } from './repository.ts';
import { type Said, type Summary, saidOf } from './said.ts';

type Fault = Extract<Said, { is: 'error' }>;

/** What was read and stored, and what could not be. */
export interface Taken {
  summary: Summary;
  warnings: string[];
}

export const few = (paths: readonly string[]): string =>
  `${paths.slice(0, 3).join(', ')}${paths.length > 3 ? `, and ${paths.length - 3} more` : ''}`;

/** restic ended, and what it read is not good enough: no other store would make it better. */
export class Unfit extends BkpError {}

/** Where restic reads: what runs it there, and whether a path is there by now. */
export interface Reader {
  start: typeof runRestic;
  isThere(path: string): Promise<boolean>;
}

/** Only what is surely gone is: a link that leads nowhere, and a file that may not be looked at, are there. */
const HERE: Reader = {
  start: runRestic,
  isThere: path =>
    lstat(path).then(
      () => true,
      error => error.code !== 'ENOENT',
    ),
};

/**
 * Of the faults those that are no loss: the file was taken away meanwhile. restic 0.14 drops the reason (`"error":{}`) where a file vanishes
 * between its opening and the reading of its extended attributes.
 */
async function vanished(faults: readonly Fault[], { isThere }: Reader): Promise<Fault[]> {
  const gone: Fault[] = [];
  for (const fault of faults) if (fault.gone || (fault.text === '' && fault.path !== '' && !(await isThere(fault.path)))) gone.push(fault);
  return gone;
}

const wordsOf = ({ path, text }: Fault): string =>
  text === '' ? `${path} (restic does not say why)` : text.includes(path) ? text : `${path}: ${text}`;

/** Gathers what `restic backup --json` says, line by line. */
function hearing(ctx: Context): { onLine(line: string): void; faults: Fault[]; summary(): Summary | undefined } {
  const faults: Fault[] = [];
  let summary: Summary | undefined;
  return {
    faults,
    summary: () => summary,
    onLine(line) {
      const said = saidOf(line);
      if (said?.is === 'status') ctx.report.emit({ type: 'progress', what: 'restic', bytes: said.bytes, total: said.total });
      else if (said?.is === 'error') faults.push(said);
      else if (said?.is === 'summary') summary = said.summary;
      // Half a line of JSON tells of something that did not come through whole.
      else if (said?.is === 'text' && said.text.includes('"message_type":"error"'))
        faults.push({ is: 'error', path: '', text: said.text, gone: false });
    },
  };
}

/** @throws Unfit for what could not be read */
function refuseUnread(ctx: Context, unread: readonly Fault[]): void {
  if (unread.length === 0) return;
  throw new Unfit('failed', `${who(ctx)}: ${unread.length} file(s) could not be read: ${few(unread.map(wordsOf))}`, {
    next: 'run bkp as a user that may read them, or leave them out by `exclude:`',
  });
}

/** @throws Unfit for nothing at all: an empty backup looks like a good one */
function refuseEmpty(ctx: Context, { files }: Summary, paths: readonly string[]): void {
  if (files > 0) return;
  throw new Unfit('failed', `${who(ctx)}: there is no file in ${paths.join(', ')}: that is no backup`, {
    next: 'is the volume mounted? `paths:` and `exclude:` in the entry say what is backed up',
  });
}

/**
 * Takes one snapshot into the repository of a store.
 * @param reader here unless given
 * @throws Unfit when what was read is no good backup: a snapshot of it may be there all the same; BkpError when the store does not take it
 */
export async function take(ctx: Context, store: Store, id: Id, paths: readonly string[], reader: Reader = HERE): Promise<Taken> {
  const { exclude, oneFileSystem } = ctx.config;
  const args = [
    'backup',
    '--json',
    ...['--host', hostOf(ctx), '--tag', id],
    ...(oneFileSystem ? ['--one-file-system'] : []),
    ...exclude.flatMap(pattern => ['--exclude', pattern]),
    '--',
    ...paths,
  ];
  const heard = hearing(ctx);
  const before = await indexesIn(ctx, store);
  const ended = await onRepository(ctx, store, args, { onLine: heard.onLine }, reader.start);
  const stored = await storedSince(ctx, store, before);
  if (ended.code !== 3) refuseFailed(ctx, store, 'backup', ended);
  const summary = heard.summary();
  if (!summary) throw new BkpError('failed', `${who(ctx)}: restic backup ended with exit code ${ended.code} and told of no snapshot`);
  const gone = await vanished(heard.faults, reader);
  // A directory comes twice, by its names and by itself (restic 0.14).
  const unread = heard.faults.filter(fault => !gone.includes(fault));
  refuseUnread(
    ctx,
    unread.filter(({ path }, index) => path === '' || unread.findIndex(each => each.path === path) === index),
  );
  if (ended.code === 3 && gone.length === 0)
    throw new Unfit('failed', `${who(ctx)}: restic could not read all files: ${words(ended.lines)}`);
  refuseEmpty(ctx, summary, paths);
  await refuseUnshown(ctx, store, summary.snapshot);
  await refuseLost(ctx, store, stored, { snapshots: [summary.snapshot], blobs: summary.blobs });
  const warnings =
    gone.length > 0 ? [`${gone.length} file(s) vanished while they were backed up: ${few(gone.map(({ path }) => path))}`] : [];
  return { summary, warnings };
}

/** An exit code proves nothing: the store has to show the snapshot. */
async function refuseUnshown(ctx: Context, store: Store, snapshot: string): Promise<void> {
  const start = `${prefixOf(ctx)}/snapshots/${snapshot}`;
  if (snapshot !== '') for await (const { key } of store.list(start)) if (key.startsWith(start)) return;
  throw new BkpError('failed', `${who(ctx)}: restic says that it saved snapshot ${snapshot}, and store ${store.name} does not show it`);
}
