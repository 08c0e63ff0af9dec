import { stat } from 'node:fs/promises';
import { chainOf, finder } from '../../core/chain.ts';
import type { Event, Known, Manifest, Reporter, RestoreRequest, Store } from '../../core/contracts.ts';
import { BkpError } from '../../core/errors.ts';
import type { Journal, JournalStep } from '../../core/journal.ts';
import { formatBytes } from '../../core/size.ts';
import { freeBytes, nearest } from '../../flow/place.ts';
import { catalog, heldObjects, missingObjects } from '../catalog.ts';
import { restoreTarget } from '../restore.ts';
import { type Asked, type Chosen, choosePart, refusalOf } from './choose.ts';
import { isSame, type Part, partName, placeOf } from './part.ts';

/** A part that passed: what it will do, and where. */
export interface Ready extends Chosen {
  part: Part;
  to: string;
  online: boolean;
  /** A run was killed at it, maybe after it was back and before that was written down: what is in its place is that run's, and goes aside. */
  killed: boolean;
  /** What the target itself says that it will do. */
  lines: string[];
  manifest?: Manifest;
  /** Directories of its own that a killed run may leave half filled. */
  places: string[];
}

/** What is asked of every part alike. */
export interface Way {
  asked: Asked;
  /** Everything goes below it; absent = where the entries say. */
  root?: string;
  force: boolean;
  random: (bytes: number) => Uint8Array;
}

/** The request by which a part is restored; `confirm` of the whole was given before. */
export const requestOf = (
  ready: Pick<Ready, 'part' | 'want' | 'to' | 'online' | 'killed'>,
  way: Pick<Way, 'force'>,
  dryRun: boolean,
): RestoreRequest => ({
  want: ready.want,
  to: ready.to,
  force: way.force || (ready.killed && !ready.online),
  serve: false,
  toRun: true,
  dryRun,
  ...(ready.online ? { online: true } : {}),
  options: ready.part.fullDr.options,
  confirm: async () => {},
});

/** Tells what it hears, and keeps the notes: those are the plan of a dry run. */
function listening(report: Reporter): { report: Reporter; lines: string[] } {
  const lines: string[] = [];
  const emit = (event: Event): void => {
    if (event.type === 'note') lines.push(event.text);
    else if (event.type === 'warning') report.emit(event);
  };
  return { report: { emit }, lines };
}

/** Every object of the chosen backup has to lie in a store that is asked. */
async function refuseLost(part: Part, want: Chosen['want']): Promise<Manifest | undefined> {
  if ('error' in part.opened) return undefined;
  const { ctx } = part.opened;
  const { known } = await catalog(ctx.stores, ctx.base, ctx.keys);
  const chosen =
    typeof want.backup === 'string' && want.backup !== 'latest' ? known.find(({ manifest }) => manifest.id === want.backup) : known.at(-1);
  if (!chosen)
    throw new BkpError('notFound', `no store that is asked has backup ${want.backup}`, { next: `bkp list ${part.kind} ${part.name}` });
  const { members, missing } = chainOf(chosen.manifest, finder(known.map(({ manifest }) => manifest)));
  const lost = missing.map(id => `no store has ${id}, on which it builds`);
  for (const each of known.filter(({ manifest }) => manifest === chosen.manifest || members.includes(manifest)))
    lost.push(...(await lostIn(ctx.stores, each)));
  if (lost.length === 0 || want.backup === undefined) return chosen.manifest;
  throw new BkpError('refused', `backup ${chosen.manifest.id} is whole in no store: ${lost.join('; ')}`, {
    next: `bkp verify ${part.kind} ${part.name}`,
  });
}

/**
 * What each store lacks of a backup; nothing where it comes back. Each block of a stream is taken from whichever store has it, and what
 * another tool holds it reads out of one store.
 */
async function lostIn(stores: readonly Store[], { manifest, stores: holding }: Known): Promise<string[]> {
  const held = new Set(heldObjects(manifest).map(({ key }) => key));
  const lacks: { name: string; missing: readonly string[] }[] = [];
  for (const store of stores.filter(({ name }) => holding.includes(name))) {
    const missing = await missingObjects(manifest, store);
    if (missing.length === 0) return [];
    lacks.push({ name: store.name, missing });
  }
  const isNowhere = (key: string): boolean => lacks.every(({ missing }) => missing.includes(key));
  const comesBack = lacks.some(({ missing }) => !missing.some(key => held.has(key))) && !lacks[0]?.missing.some(isNowhere);
  return comesBack ? [] : lacks.map(({ name, missing }) => `${name} lacks ${missing.find(isNowhere) ?? missing[0]}`);
}

const stepOf = (part: Part, journal: Journal | undefined): JournalStep | undefined => journal?.steps.find(step => isSame(step, part));

/** What a run that was cut short had chosen stays chosen. */
const chosenBefore = (part: Part, journal: Journal | undefined): Chosen | undefined => {
  const step = stepOf(part, journal);
  if (!step) return undefined;
  const { time, ...rest } = step.want;
  const want = { ...rest, ...(time ? { time: new Date(time) } : {}) } as Chosen['want'];
  return { want };
};

async function check(part: Part, way: Way, before: Journal | undefined): Promise<Ready> {
  const chosen = chosenBefore(part, before) ?? (await choosePart(part, way.asked));
  if ('error' in part.opened) throw part.opened.error;
  const { target, ctx } = part.opened;
  const manifest = await refuseLost(part, chosen.want);
  const { to, online } = placeOf(part, part.opened, way.root);
  const { report, lines } = listening(ctx.report);
  const step = stepOf(part, before);
  // What is in a place that the config named only since then is none of that run.
  const state = step?.to === to ? step.state : '';
  const ready = { part, ...chosen, to, online, killed: state === 'begun' };
  // What an earlier run left half filled is its own, and is cleared before this one begins.
  const half = /^(begun|failed)$/.test(state);
  await restoreTarget(target, { ...ctx, report }, requestOf(ready, { force: way.force || half }, true), way.random(16));
  return { ...ready, lines, places: online ? [] : [to], ...(manifest ? { manifest } : {}) };
}

/** What a backup takes in a directory once it is back, bytes: its streams, and what another tool says of what it holds. */
function plainBytes({ pieces, contentBytes = 0, baseline }: Manifest): number {
  const streams = pieces.reduce((sum, piece) => sum + ('objects' in piece ? piece.bytes : 0), 0);
  const isHeld = pieces.some(piece => 'held' in piece && piece.held.by !== 'hetzner');
  // Files with holes take less than they are long.
  const allocated = baseline['allocated'];
  return streams + (isHeld ? (typeof allocated === 'number' ? allocated : contentBytes) : 0);
}

/** Each alone has room; together on one disk they need the sum. */
async function refuseFullTogether(ready: readonly Ready[]): Promise<string[]> {
  const disks = new Map<number, { place: string; bytes: number; names: string[] }>();
  for (const { part, to, online, manifest } of ready) {
    if (online || !manifest) continue;
    const { dev } = await stat(await nearest(to));
    const disk = disks.get(dev) ?? { place: to, bytes: 0, names: [] };
    disks.set(dev, { ...disk, bytes: disk.bytes + plainBytes(manifest), names: [...disk.names, partName(part)] });
  }
  const full: string[] = [];
  for (const { place, bytes, names } of disks.values()) {
    const free = await freeBytes(place);
    if (free < bytes)
      full.push(`${names.join(', ')} need ${formatBytes(bytes)} together, and the disk of ${place} has ${formatBytes(free)} free`);
  }
  return full;
}

/** Two parts in one place, or one inside another, would restore over each other. */
function overlaps(ready: readonly Ready[]): string[] {
  const placed = ready.filter(({ online }) => !online);
  return placed.flatMap((one, n) =>
    placed
      .slice(n + 1)
      .filter(other => `${one.to}/`.startsWith(`${other.to}/`) || `${other.to}/`.startsWith(`${one.to}/`))
      .filter(other => one.part.kind !== 'volumes' && other.part.kind !== 'volumes')
      .map(other => `${partName(one.part)} and ${partName(other.part)} lie in one another: ${one.to} and ${other.to}`),
  );
}

/** What a run that is gone on with had to bring back, and the config does not have any more: it would be missing without a word. */
const departed = (parts: readonly Part[], before: Journal | undefined): string[] =>
  (before?.steps ?? [])
    .filter(step => step.state !== 'back' && !parts.some(part => isSame(step, part)))
    .map(
      step =>
        `${partName(step)}: the restore that began ${before?.startedAt} has yet to bring it back, and the config has it no more as a part of full-dr → take it back into the config, or begin anew: --restart`,
    );

/**
 * Looks at everything before anything changes: what each part is brought back to, tools, versions, room, credentials, places, objects.
 * @param before the journal of a run that is gone on with
 * @throws BkpError('refused') with the whole list
 */
export async function preflight(parts: readonly Part[], way: Way, before?: Journal): Promise<Ready[]> {
  const ready: Ready[] = [];
  const refusals: string[] = [];
  for (const part of parts) {
    try {
      ready.push(await check(part, way, before));
    } catch (error) {
      if (!('error' in part.opened)) part.opened.ctx.signal.throwIfAborted();
      refusals.push(refusalOf(part, error));
    }
  }
  refusals.push(...departed(parts, before), ...overlaps(ready), ...(await refuseFullTogether(ready)));
  if (refusals.length === 0) return ready;
  throw new BkpError(
    'refused',
    `full-dr cannot begin, and nothing was changed: ${refusals.length} of ${parts.length} part(s) stand in its way`,
    {
      next: refusals,
    },
  );
}
