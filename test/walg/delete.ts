import { wants } from './args.ts';
import { BACKUPS, WAL } from './backup.ts';
import { type Candidate, candidates, type Order, orderOf, ownerOf, permanence } from './candidates.ts';
import { fatal, log } from './log.ts';
import type { Run } from './run.ts';
import { selected } from './select.ts';
import { beforeTarget, dependants, type Modifier, relatives, retainAfter, retainTarget } from './targets.ts';

interface Deletion extends Run {
  all: Candidate[];
  order: Order;
  isPermanent(object: string): boolean;
}

/** Names or, with --confirm, removes what fits; every version of it where the bucket keeps them. */
async function deleteWhere({ folder, args }: Run, under: string, fits: (object: string) => boolean): Promise<void> {
  const objects = await folder.list(under, { hidden: true });
  log.info('Evaluating objects for deletion...');
  const marked = objects.filter(({ name }) => fits(name));
  for (const { name } of marked) log.info(`Object marked for deletion: ${name.slice(under.length)} storage=default`);
  if (marked.length === 0) return log.info('No objects matched the deletion criteria.');
  if (!args.has('confirm')) return log.info(`Dry run: objects would be deleted count=${marked.length}, Run with --confirm to execute`);
  await folder.remove(marked);
  log.info(`Objects deleted successfully: count=${marked.length}`);
}

async function deleteBefore(run: Deletion, target: Candidate | undefined, among: (object: string) => boolean = () => true): Promise<void> {
  if (!target) return log.info('No backup found for deletion');
  if (!target.full)
    fatal(`${target.name}_backup_stop_sentinel.json is incremental and it's predecessors cannot be deleted. Consider FIND_FULL option.`);
  log.info('Start delete');
  await deleteWhere(run, '', object => among(object) && run.order.isBefore(object, target) && !run.isPermanent(object));
}

function modified(words: readonly string[]): { modifier: Modifier; what: string } {
  if (words.length === 1) return { modifier: undefined, what: words[0]! };
  if (words[0] !== 'FULL' && words[0] !== 'FIND_FULL') fatal('expected to get one of modifiers: [FULL FIND_FULL] as first argument');
  return { modifier: words[0] as Modifier, what: words[1]! };
}

async function before(run: Deletion, words: readonly string[]): Promise<void> {
  const { modifier, what } = modified(words);
  await deleteBefore(run, beforeTarget(run.all, run.order, what, modifier));
}

async function retain(run: Deletion, words: readonly string[]): Promise<void> {
  const { modifier, what } = modified(words);
  const count = /^\d+$/.test(what) ? Number(what) : fatal(`expected to get a number as retantion count, but got: '${what}'`);
  if (count === 0) fatal('cannot retain less than one backup. Check out delete everything');
  const chosen = retainTarget(run.all, run.order, count, modifier);
  const after = run.args.value('after');
  await deleteBefore(run, after ? retainAfter(run.all, run.order, chosen, after, modifier) : chosen);
}

/** Deltas on the target go with it. WAL stays. That the target is permanent does not save it: WAL-G compares names that never match here. */
async function target(run: Deletion, words: readonly string[]): Promise<void> {
  const findFull = words[0] === 'FIND_FULL';
  const name = await selected(run.folder, run.args, words[findFull ? 1 : 0]);
  const found = run.all.find(one => one.name === name) ?? fatal('Requested backup was not found');
  const names = new Set((findFull ? relatives : dependants)(run.all, found).map(one => one.name));
  await deleteWhere(run, BACKUPS, object => names.has(ownerOf(object)));
}

async function everything(run: Deletion, words: readonly string[]): Promise<void> {
  const permanent = run.all.filter(one => one.permanent).map(({ name }) => name);
  if (permanent.length > 0 && words[0] !== 'FORCE') fatal(`Found permanent backups=[${permanent.join(' ')}]`);
  if (permanent.length > 0) log.info(`Found permanent backups=[${permanent.join(' ')}]`);
  await deleteWhere(run, '', () => true);
}

/** Only what is older than the oldest backup that is not permanent; uploads that were never completed are no objects. */
async function garbage(run: Deletion, words: readonly string[]): Promise<void> {
  const under = { ARCHIVES: WAL, BACKUPS }[words[0] ?? ''] ?? '';
  const [oldest] = run.all.filter(({ permanent }) => !permanent).sort((a, b) => a.started - b.started);
  if (oldest) return deleteBefore(run, oldest, object => object.startsWith(under));
  log.info("Couldn't find any non-permanent backups in storage.");
  if (!run.args.has('without-backup-check')) return log.info('Not doing anything.');
  log.info('Will delete garbage anyway.');
  await deleteWhere(run, '', object => object.startsWith(under) && !run.isPermanent(object));
}

const MODES: Readonly<Record<string, (run: Deletion, words: readonly string[]) => Promise<void>>> = {
  before,
  retain,
  target,
  everything,
  garbage,
};

/** `delete retain|before|target|everything|garbage …`: names what would go unless --confirm is given. */
export async function deleteCommand(run: Run): Promise<void> {
  const [mode = '', ...words] = run.args.rest;
  const act = MODES[mode] ?? fatal(`unknown command "${mode}" for "wal-g delete"`);
  if (mode === 'before' || mode === 'retain') wants(run.args, 2, 3);
  else wants(run.args, 1, 3);
  log.info('Backup to delete will be searched in storages: [default]');
  const bySentinel = run.args.has('use-sentinel-time');
  const all = await candidates(run.folder, bySentinel);
  await act({ ...run, all, order: orderOf(all, bySentinel), isPermanent: await permanence(run.folder, all) }, words);
}
