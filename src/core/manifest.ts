import * as z from 'zod';
import type { Keys, Manifest } from './contracts.ts';
import { BkpError } from './errors.ts';
import { isId } from './id.ts';
import { firstIssue } from './issue.ts';
import { checkKey } from './key.ts';
import { decodeSigned, decodeSignedAside, encodeSigned } from './signed.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
const bytes = z.int().min(0);
const instant = z.iso.datetime();
const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);
const lineage = z.string().regex(/^\d+-\d+$/);
const key = z.string().refine(text => {
  try {
    return checkKey(text) === text;
  } catch {
    return false;
  }
}, 'not a key');

const held = z.looseObject({
  by: z.enum(['wal-g', 'restic', 'hetzner']),
  // Other programs get it as an argument.
  id: z.string().regex(/^[^\s\p{C}-][^\p{C}]*$/u),
  under: key.optional(),
  objects: z.array(z.looseObject({ key, bytes: bytes.optional() })).optional(),
});
const pieceName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
const piece = z
  .object({
    name: pieceName,
    bytes,
    sha256,
    stored: z.object({ bytes, sha256 }),
    blockBytes: z.int().min(1),
    objects: z.array(z.object({ key, bytes, blocks: z.array(sha256).min(1) })).min(1),
    line: z.array(z.enum(['zstd', 'age'])).optional(),
  })
  // What no block covers would be read back by nobody.
  .refine(({ objects, blockBytes }) => objects.every(each => each.blocks.length === Math.max(1, Math.ceil(each.bytes / blockBytes))), {
    error: 'its blocks are not those of its bytes',
  })
  .refine(({ objects, stored }) => objects.reduce((sum, each) => sum + each.bytes, 0) === stored.bytes, {
    error: 'its objects do not add up to what is stored',
  });
const need = z.union([
  z.looseObject({ backup: z.string().refine(isId, 'not an id') }),
  z.looseObject({ log: lineage, from: lsn, to: lsn }),
  z.looseObject({ held }),
  z.looseObject({ key: z.string().min(1) }),
]);

const shape = z.looseObject({
  version: z.literal(1),
  id: z.string().refine(isId, 'not an id'),
  env: name,
  kind: name,
  name,
  engine: name,
  identity: z.record(z.string(), z.string()),
  lineage: lineage.optional(),
  startedAt: instant,
  recoveryPointAt: instant,
  finishedAt: instant,
  line: z.array(z.enum(['zstd', 'age'])),
  recipients: z.array(z.string()),
  pieces: z.array(z.union([piece, z.object({ name: pieceName, held })])).min(1),
  needs: z.array(need),
  wal: z
    .object({
      timeline: z.int().min(1),
      from: lsn,
      to: lsn,
      segmentBytes: z.int().min(1),
      hash: z
        .string()
        .regex(/^[0-9a-f]{32}$/)
        .optional(),
    })
    .optional(),
  tablespaces: z
    .array(z.object({ oid: z.string().regex(/^\d{1,10}$/), name: z.string().min(1), location: z.string().startsWith('/') }))
    .optional(),
  baseline: z.record(z.string(), z.unknown()),
  versions: z.record(z.string(), z.string()),
  notCovered: z.array(z.string()),
  warnings: z.array(z.string()),
  contentBytes: bytes.optional(),
  addedBytes: bytes.optional(),
  anomaly: z.string().optional(),
  sizeAccepted: z.boolean().optional(),
});

/** The signed bytes of `manifest.json`. */
export const encodeManifest = (manifest: Manifest, sign: Keys['sign']): Buffer => encodeSigned(manifest, sign);

function checked(value: unknown, what: string): Manifest {
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data as unknown as Manifest;
  throw new BkpError('verifyFailed', `${what} is no manifest that this version reads: ${firstIssue(parsed.error)}`);
}

/**
 * Reads `manifest.json`: signature first, then every name, key, hash and instant by its pattern, so that nothing in it is used unchecked.
 * @throws BkpError('verifyFailed')
 */
export const decodeManifest = (raw: Buffer, verify: Keys['verify'], what: string): Manifest =>
  checked(decodeSigned(raw, verify, what), what);

/** As `decodeManifest`, with the signatures of many checked side by side in other threads. Rejects as that throws. */
export const decodeManifestAside = async (raw: Buffer, verify: Keys['verifyAside'], what: string): Promise<Manifest> =>
  checked(await decodeSignedAside(raw, verify, what), what);
