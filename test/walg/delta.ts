import { type FilesMetadata, readFiles, readMetadata, readSentinel, type Sentinel } from './backup.ts';
import { fatal, log } from './log.ts';
import type { ServerInfo } from './postgres.ts';
import type { Run } from './run.ts';
import { lsnText } from './segment.ts';
import { deltaBase } from './select.ts';

/** What a delta builds on. */
export interface Base {
  name: string;
  sentinel: Sentinel;
  files: NonNullable<FilesMetadata['Files']>;
  /** How many deltas there are from the full one to the new one. */
  count: number;
}

const full = (why: string): undefined => void log.info(why);

/** The base of the next delta, or undefined where a full backup is due: WALG_DELTA_MAX_STEPS, WALG_DELTA_ORIGIN, permanence. */
export async function chooseBase({ args, settings, folder }: Run): Promise<Base | undefined> {
  const most = settings.number('WALG_DELTA_MAX_STEPS', 0);
  if (most === 0) return undefined;
  const previous = await deltaBase(folder, args);
  if (!previous) return full("Couldn't find previous backup. Doing full backup.");
  const { DeltaCount = 0, DeltaFullName } = await readSentinel(folder, previous);
  if (DeltaCount + 1 > most) return full('Reached max delta steps. Doing full backup.');
  const fromFull = settings.get('WALG_DELTA_ORIGIN') === 'LATEST_FULL';
  const { is_permanent } = await readMetadata(folder, previous);
  if (is_permanent && !args.has('permanent') && !fromFull) return full("Can't do a delta backup from permanent backup. Doing full backup.");
  if (fromFull) log.info('Delta will be made from full backup.');
  const name = fromFull ? (DeltaFullName ?? previous) : previous;
  const sentinel = await readSentinel(folder, name);
  log.info(`Delta backup from ${name} with LSN ${lsnText(sentinel.LSN)}.`);
  return { name, sentinel, files: (await readFiles(folder, name)).Files ?? {}, count: DeltaCount + 1 };
}

/** @throws Fatal when the base is of another cluster, or ahead of this one */
export function checkBase(base: Base, lsn: number, { systemIdentifier }: ServerInfo): void {
  log.info('Delta backup enabled');
  if (base.sentinel.FinishLSN > lsn) fatal(`Finish LSN of backup ${base.name} greater than current LSN`);
  if (JSON.stringify(base.sentinel.SystemIdentifier) !== systemIdentifier)
    fatal('Current database and database of base backup are not equal.');
}

/** What a delta's sentinel says of its base. */
export const deltaFields = ({ name, sentinel, count }: Base) => ({
  DeltaLSN: sentinel.LSN,
  DeltaFrom: name,
  DeltaFullName: sentinel.DeltaFullName ?? name,
  DeltaCount: count,
});
