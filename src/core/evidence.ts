import * as z from 'zod';
import type { Keys } from './contracts.ts';
import { BkpError } from './errors.ts';
import { isId } from './id.ts';
import { decodeSigned, encodeSigned } from './signed.ts';

const instant = z.iso.datetime();
const seconds = z.number().min(0);
const result = z.enum(['passed', 'failed', 'unproven']);

const check = z.looseObject({
  name: z.string(),
  state: z.enum(['ok', 'note', 'fail', 'unproven']),
  text: z.string(),
  mend: z.string().optional(),
  seconds: seconds.optional(),
});

/**
 * How one backup came back out of one store. `rtoSeconds` is fetch, restore and start together, what an outage would take at least;
 * `rpoSeconds` is what it would have lost: from the recovery point that was reached to the begin of the drill.
 */
const target = z.looseObject({
  kind: z.string(),
  name: z.string(),
  engine: z.string(),
  /** Counted from 0; what a wave needs stands before it. */
  wave: z.int().min(0),
  result,
  /** Why nothing was tried: no backup, or what it waits for did not come back. */
  skipped: z.string().optional(),
  store: z.string().optional(),
  backup: z.string().refine(isId, 'not an id').optional(),
  recoveryPointAt: instant.optional(),
  storedBytes: z.int().min(0).optional(),
  plainBytes: z.int().min(0).optional(),
  phases: z.object({ fetch: seconds, restore: seconds, start: seconds, prove: seconds }).optional(),
  rtoSeconds: seconds.optional(),
  rpoSeconds: seconds.optional(),
  /** What the config promises. */
  rpoPromisedSeconds: seconds.optional(),
  versions: z.record(z.string(), z.string()).optional(),
  checks: z.array(check),
});

const shape = z.looseObject({
  version: z.literal(1),
  id: z.string().refine(isId, 'not an id'),
  /** Whose backups were tried. */
  env: z.string(),
  /** In which environment of the config they were tried. */
  drilledIn: z.string(),
  /** `full-dr`, or `kind` or `kind/name`. */
  scope: z.string(),
  /** The set that was restored, for full-dr out of one. */
  set: z.string().refine(isId, 'not an id').optional(),
  tool: z.string(),
  startedAt: instant,
  finishedAt: instant,
  result,
  targets: z.array(target).min(1),
});

/** What one drill showed. Instants are ISO 8601 UTC, durations seconds, sizes bytes. Stored signed as `<prefix>/<env>/drills/<id>.json`. */
export type Evidence = z.infer<typeof shape>;
export type TargetEvidence = z.infer<typeof target>;
export type DrillResult = z.infer<typeof result>;

/** The signed bytes of a drill's record. */
export const encodeEvidence = (evidence: Evidence, sign: Keys['sign']): Buffer => encodeSigned(evidence, sign);

/** Reads a drill's record. @throws BkpError('verifyFailed') when it is not signed by a trusted key, or is no such record */
export function decodeEvidence(raw: Buffer, verify: Keys['verify'], what: string): Evidence {
  const parsed = shape.safeParse(decodeSigned(raw, verify, what));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new BkpError('verifyFailed', `${what} is no record of a drill that this version reads: ${issue.path.join('.')}: ${issue.message}`);
}
