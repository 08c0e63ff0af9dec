import { instantOf } from '../id.ts';

/** What a set or a drill says goes, with why. */
export interface GoingRecord {
  id: string;
  reason: string;
}

/** One set: `backup` is absent for a member of which none was taken. */
export interface SetSeen {
  id: string;
  members: readonly { kind: string; name: string; backup?: string | undefined }[];
}

/** What one drill showed of each entry that it tried. */
export interface DrillSeen {
  id: string;
  targets: readonly { kind: string; name: string; result: string; backup?: string | undefined }[];
}

/** Ids of the backups that stores still have, by `kind/name`; an entry that is not in it was not looked at. */
export type Left = ReadonlyMap<string, ReadonlySet<string>>;

/** What is younger may be the work of a run that is still going on. */
const YOUNG_MS = 7 * 86_400_000;

const called = ({ kind, name }: { kind: string; name: string }): string => `${kind}/${name}`;

const ageOf = (id: string, now: Date): number => now.getTime() - (instantOf(id)?.getTime() ?? now.getTime());

/** Whether no backup of a set is left; false where one of its entries was not looked at. */
const isSpent = ({ members }: SetSeen, left: Left): boolean =>
  members.every(member => member.backup === undefined || left.get(called(member))?.has(member.backup) === false);

/**
 * Sets of which nothing is left to be restored: a set keeps no backup, so it goes once its last one did.
 * @param left complete: what is not in it is gone
 */
export const setsToGo = (sets: readonly SetSeen[], left: Left, now: Date): GoingRecord[] =>
  sets
    .filter(set => ageOf(set.id, now) > YOUNG_MS && isSpent(set, left))
    .map(({ id, members }) => {
      const taken = members.filter(({ backup }) => backup !== undefined).length;
      return { id, reason: taken === 0 ? 'it has no backup' : `none of its ${taken} backup(s) is left` };
    });

/** The newest drill that passed, of each of the things that `of` names. */
function newestPassed(drills: readonly DrillSeen[], of: (target: DrillSeen['targets'][number]) => string | undefined): Set<string> {
  const newest = new Map<string, string>();
  for (const { id, targets } of drills)
    for (const target of targets) {
      const what = target.result === 'passed' ? of(target) : undefined;
      if (what !== undefined && id > (newest.get(what) ?? '')) newest.set(what, id);
    }
  return new Set(newest.values());
}

/**
 * Records of drills that are older than they have to be. The newest drill stays, which status shows; of each entry the newest that passed, by
 * which the time of a restore is foretold; and of each backup that is left the newest that proved it.
 * @param left complete: what is not in it is gone
 */
export function drillsToGo(drills: readonly DrillSeen[], left: Left, keepMs: number, now: Date): GoingRecord[] {
  const newest = drills
    .map(({ id }) => id)
    .sort()
    .slice(-1);
  const stays = new Set([
    ...newest,
    ...newestPassed(drills, called),
    ...newestPassed(drills, target =>
      target.backup !== undefined && left.get(called(target))?.has(target.backup) !== false
        ? `${called(target)}/${target.backup}`
        : undefined,
    ),
  ]);
  return drills
    .filter(({ id }) => !stays.has(id) && ageOf(id, now) > Math.max(keepMs, YOUNG_MS))
    .map(({ id }) => ({ id, reason: 'older than `drills.keep`, and newer drills say the same' }));
}

/**
 * Records of kits that are older than they have to be: of each deed (exported, proven, failed) the newest stays, which `status` and `doctor`
 * show.
 */
export function kitsToGo(kits: readonly { id: string; did: string; at: string }[], keepMs: number, now: Date): GoingRecord[] {
  const newest = new Map<string, { id: string; at: string }>();
  for (const kit of kits) if (kit.at >= (newest.get(kit.did)?.at ?? '')) newest.set(kit.did, kit);
  return kits
    .filter(({ id, did }) => newest.get(did)?.id !== id && ageOf(id, now) > Math.max(keepMs, YOUNG_MS))
    .map(({ id }) => ({ id, reason: 'older than `drills.keep`, and a newer kit is on record' }));
}
