import * as z from 'zod';
import type { Keys } from '../contracts.ts';
import { BkpError } from '../errors.ts';
import { isId } from '../id.ts';
import { firstIssue } from '../issue.ts';
import { decodeSigned, encodeSigned } from '../signed.ts';

/** `exported` = a kit was made; `proven` and `failed` = how a check of one ended. */
export const KIT_DEEDS = ['exported', 'proven', 'failed'] as const;
export type KitDeed = (typeof KIT_DEEDS)[number];

const id = z.string().refine(isId, 'not an id');
const names = z.array(z.string());

const shape = z.object({
  version: z.literal(1),
  id,
  env: z.string(),
  did: z.enum(KIT_DEEDS),
  /** When that was. */
  at: z.iso.datetime(),
  tool: z.string(),
  /** Id of the kit, and when it was made. */
  kit: z.string(),
  madeAt: z.iso.datetime(),
  /** With what it was sealed: one passphrase, or so many recipients that are kept elsewhere; only an export knows. */
  seal: z.object({ by: z.enum(['passphrase', 'recipient']), count: z.int().min(1) }).optional(),
  /** What it covers: a hash of all that the config says of a restore, and names. */
  covers: z.object({ config: z.string(), targets: names, stores: names, recipients: names }).optional(),
  /** Whether a check restored, or read and opened only; the stores that it tried. */
  deep: z.boolean().optional(),
  tried: names.optional(),
});

/** What a store remembers of a kit; no secret is in it, and not where the kit is. Instants are ISO 8601 UTC. */
export type KitRecord = z.infer<typeof shape>;
export type KitCovers = NonNullable<KitRecord['covers']>;

/** The signed bytes of a record. */
export const encodeKit = (record: KitRecord, sign: Keys['sign']): Buffer => encodeSigned(record, sign);

/**
 * Reads a record of a kit: signature first, then that it lies where it belongs.
 * @param place environment, deed and id that its key says
 * @throws BkpError('verifyFailed')
 */
export function decodeKit(raw: Buffer, verify: Keys['verify'], what: string, place: Pick<KitRecord, 'id' | 'env' | 'did'>): KitRecord {
  const parsed = shape.safeParse(decodeSigned(raw, verify, what));
  if (!parsed.success)
    throw new BkpError('verifyFailed', `${what} is no record of a kit that this version reads: ${firstIssue(parsed.error)}`);
  const { data } = parsed;
  if (data.id === place.id && data.env === place.env && data.did === place.did) return data;
  throw new BkpError('verifyFailed', `${what} is record ${data.id} (${data.did}) of ${data.env}: it was moved or copied there`);
}
