import type { Args } from './args.ts';
import { BACKUPS, latest, listBackups, readMetadata, readSentinel, SENTINEL, WAL } from './backup.ts';
import { type Folder, openFolder, type Stored } from './folder.ts';
import { fatal, log } from './log.ts';
import { firstSegment, parseSegment, segmentAt, segmentName, withoutExtension } from './segment.ts';
import { settingsFromFile } from './settings.ts';

interface Plan {
  source: Stored[];
  /** Name → when it is to be there: data, then metadata, then sentinels, parents' first. */
  wanted: Map<string, number>;
}

/** A backup after those that it builds on; returns how many those are. */
async function addChain(from: Folder, plan: Plan, name: string): Promise<number> {
  const { DeltaFrom } = await readSentinel(from, name);
  const depth = DeltaFrom ? (await addChain(from, plan, DeltaFrom)) + 1 : 0;
  for (const object of plan.source)
    if (object.name.startsWith(`${BACKUPS}${name}/`)) plan.wanted.set(object.name, object.name.endsWith('/metadata.json') ? 1 : 0);
  plan.wanted.set(`${BACKUPS}${name}${SENTINEL}`, 2 + depth);
  return depth;
}

function checkRow(names: readonly string[], first: string, last: string, whole: boolean): void {
  if (!names.includes(first)) fatal(`first required PostgreSQL WAL segment "${first}" is missing`);
  if (!whole && !names.includes(last)) fatal(`last required PostgreSQL WAL segment "${last}" is missing`);
  const segments = [...names].sort().map(name => parseSegment(name)!);
  segments.forEach(({ timeline, number }, at) => {
    const next = segments[at + 1];
    if (next?.timeline === timeline && next.number !== number + 1) {
      const line = timeline.toString(16).toUpperCase().padStart(8, '0');
      fatal(`gap in PostgreSQL WAL history on timeline ${line} between segments ${number} and ${next.number}`);
    }
  });
}

/** WAL from the backup's start to its end or, with `whole`, to the newest; history files always. @throws Fatal when it has a hole */
async function addWal(from: Folder, plan: Plan, name: string, whole: boolean): Promise<void> {
  const { start_lsn, finish_lsn } = await readMetadata(from, name);
  const { timeline } = firstSegment(name)!;
  const [first, last] = [start_lsn - 1, finish_lsn].map(lsn => segmentName(segmentAt(timeline, lsn))) as [string, string];
  const names: string[] = [];
  for (const object of plan.source) {
    if (!object.name.startsWith(WAL)) continue;
    const plain = withoutExtension(object.name.slice(WAL.length));
    const place = plain.split('.')[0]!;
    if (!plain.endsWith('.history') && (place < first || (!whole && place > last))) continue;
    plan.wanted.set(object.name, 0);
    if (parseSegment(plain)) names.push(plain);
  }
  checkRow(names, first, last, whole);
}

async function copyOne(from: Folder, to: Folder, { name }: Stored): Promise<void> {
  const body = (await from.get(name)) ?? fatal(`read source object "${name}": object '${from.path}${name}' not found in storage`);
  await to.put(name, body);
  log.info(`Copied "${name}" to "${name}" without transformation.`);
}

/** Copies what is not there; one that is there with another size is a conflict, metadata.json of a backup marked since among them. */
async function execute(from: Folder, to: Folder, { source, wanted }: Plan): Promise<void> {
  const there = new Map((await to.list('')).map(({ name, size }) => [name, size]));
  const entries = source.filter(({ name }) => wanted.has(name)).sort((a, b) => wanted.get(a.name)! - wanted.get(b.name)!);
  for (const { name, size } of entries) {
    const has = there.get(name);
    if (has !== undefined && has !== size)
      fatal(`destination object "${name}" conflicts with source: source size ${size}, destination size ${has}`);
  }
  for (const entry of entries) if (!there.has(entry.name)) await copyOne(from, to, entry);
}

async function namesOf(from: Folder, wanted: string | undefined): Promise<string[]> {
  const all = (await listBackups(from)).map(({ backup_name }) => backup_name);
  if (all.length === 0) return fatal('No backups found');
  if (!wanted) return [...all].sort();
  const name = wanted === 'LATEST' ? (await latest(from))! : wanted;
  return all.includes(name) ? [name] : fatal(`Backup '${name}' does not exist.`);
}

/** `copy --from FILE --to FILE [--backup-name NAME] [--with-history]`: stored bytes as they are; both sides' settings from the files alone. */
export async function copy(args: Args): Promise<void> {
  const [fromFile, toFile] = [args.value('from'), args.value('to')];
  if (!fromFile || !toFile)
    return fatal(
      `required flag(s) ${['from', 'to']
        .filter(name => !args.value(name))
        .map(name => `"${name}"`)
        .join(', ')} not set`,
    );
  const [from, to] = [openFolder(settingsFromFile(fromFile)), openFolder(settingsFromFile(toFile))];
  const plan: Plan = { source: await from.list(''), wanted: new Map() };
  for (const name of await namesOf(from, args.value('backup-name'))) {
    await addChain(from, plan, name);
    await addWal(from, plan, name, args.has('with-history'));
  }
  await execute(from, to, plan);
  log.info('Success copy.');
}
