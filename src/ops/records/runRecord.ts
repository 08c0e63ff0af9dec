import * as z from 'zod';
import type { ObjectInfo, TargetContext } from '../../core/contracts.ts';
import { BkpError, EXIT, type ExitName } from '../../core/errors.ts';
import { firstIssue } from '../../core/issue.ts';
import { joinKey, sectionOf } from '../../core/key.ts';
import { decodeSigned, encodeSigned } from '../../core/signed.ts';

/** `status` = what it told of a target and is still so; `notify` = how a notifier last fared. */
export const VERBS = ['backup', 'prune', 'verify', 'drill', 'status', 'notify'] as const;

/** How one run over one target ended. Instants are ISO 8601, UTC. */
export interface RunRecord {
  version: 1;
  verb: (typeof VERBS)[number];
  startedAt: string;
  finishedAt: string;
  exit: ExitName;
  message?: string;
  details?: Record<string, unknown>;
}

/** What is signed: the record, whose it is and under which name it lies, so that no record passes for another. */
const shape = z.looseObject({
  version: z.literal(1),
  id: z.string(),
  env: z.string(),
  kind: z.string(),
  name: z.string(),
  verb: z.enum(VERBS),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  exit: z.enum(Object.keys(EXIT) as [ExitName, ...ExitName[]]),
  message: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

export type Outcome = 'done' | 'failed';

/** A record as a listing shows it. */
export interface ListedRun {
  key: string;
  verb: string;
  id: string;
  outcome: Outcome;
}

/**
 * An id such as `20260115T020000.123Z-4f2a1c`: sorts by the instant at which the run ended, and random bytes tell two of them apart.
 * @param random at least three bytes
 */
export const runId = (finishedAt: string, random: Uint8Array): string =>
  `${new Date(finishedAt).toISOString().replace(/[-:]/g, '')}-${Buffer.from(random.subarray(0, 3)).toString('hex')}`;

const NAME = /^([a-z]+)\/(\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{6})\.(done|failed)\.json$/;

export const runsUnder = (ctx: TargetContext): string => sectionOf(ctx.base, 'runs');

/** A backup that fewer stores have is one; a prune that was refused some of it, or a verification that could not look, is none. */
export const endedWell = ({ verb, exit }: { verb: string; exit: ExitName }): boolean =>
  exit === 'done' || (exit === 'partial' && verb === 'backup');

const outcomeOf = (run: RunRecord): Outcome => (endedWell(run) ? 'done' : 'failed');

/** `runs/…/<verb>/<id>.<done|failed>.json`: the newest of either is found by its name alone. */
export const runKey = (ctx: TargetContext, id: string, run: RunRecord): string =>
  joinKey(runsUnder(ctx), run.verb, `${id}.${outcomeOf(run)}.json`);

/** The records in a listing, newest first. */
export function runsAmong(ctx: TargetContext, objects: readonly ObjectInfo[]): ListedRun[] {
  const root = `${runsUnder(ctx)}/`;
  const found = objects.flatMap(({ key }) => {
    const [, verb, id, outcome] = NAME.exec(key.slice(root.length)) ?? [];
    return verb && id ? [{ key, verb, id, outcome: outcome as Outcome }] : [];
  });
  return found.sort((a, b) => (a.id < b.id ? 1 : -1));
}

/** The signed bytes of a record. Throws BkpError('usage') when this host has no signing key. */
export const encodeRun = ({ env, kind, name, keys }: TargetContext, id: string, record: RunRecord): Buffer =>
  encodeSigned({ ...record, id, env, kind, name }, keys.sign);

/** Reads a record back. Throws BkpError('verifyFailed') where no trusted key signed it, or it was signed under another name or for another target. */
export function decodeRun(ctx: TargetContext, run: ListedRun, bytes: Buffer, what: string): RunRecord {
  const parsed = shape.safeParse(decodeSigned(bytes, ctx.keys.verify, what));
  if (!parsed.success)
    throw new BkpError('verifyFailed', `${what} is no record of a run that this version reads: ${firstIssue(parsed.error)}`);
  const { id, env, kind, name, ...rest } = parsed.data;
  const said = rest as RunRecord;
  const isIt = id === run.id && said.verb === run.verb && outcomeOf(said) === run.outcome;
  if (!isIt || env !== ctx.env || kind !== ctx.kind || name !== ctx.name)
    throw new BkpError('verifyFailed', `${what} is the record of another run: it was moved or copied there`);
  return said;
}
