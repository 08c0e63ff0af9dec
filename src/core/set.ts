import * as z from 'zod';
import type { Keys } from './contracts.ts';
import { BkpError } from './errors.ts';
import { isId } from './id.ts';
import { firstIssue } from './issue.ts';
import { decodeSigned, encodeSigned } from './signed.ts';

const id = z.string().refine(isId, 'not an id');
const instant = z.iso.datetime();
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);

const member = z.looseObject({
  kind: name,
  name,
  backup: id.optional(),
  recoveryPointAt: instant.optional(),
  /** Why there is no backup of it. */
  error: z.string().optional(),
});

const shape = z.looseObject({
  version: z.literal(1),
  id,
  env: name,
  startedAt: instant,
  finishedAt: instant,
  tool: z.string(),
  members: z.array(member).min(1),
});

/** What one run of `backup full-dr` took, stored signed as `<prefix>/<env>/sets/<id>.json`. Instants are ISO 8601 UTC. */
export type BackupSet = z.infer<typeof shape>;
export type SetMember = z.infer<typeof member>;

/** The signed bytes of a set. */
export const encodeSet = (set: BackupSet, sign: Keys['sign']): Buffer => encodeSigned(set, sign);

/**
 * Reads a set: signature first, then every id, name and instant by its pattern.
 * @param place the id and the environment that its key says
 * @throws BkpError('verifyFailed')
 */
export function decodeSet(raw: Buffer, verify: Keys['verify'], what: string, place: { id: string; env: string }): BackupSet {
  const parsed = shape.safeParse(decodeSigned(raw, verify, what));
  if (!parsed.success) throw new BkpError('verifyFailed', `${what} is no set that this version reads: ${firstIssue(parsed.error)}`);
  const { data } = parsed;
  if (data.id === place.id && data.env === place.env) return data;
  throw new BkpError('verifyFailed', `${what} is set ${data.id} of ${data.env}, and lies where ${place.id} of ${place.env} belongs`);
}
