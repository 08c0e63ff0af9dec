import * as z from 'zod';
import { BkpError } from '../../core/errors.ts';
import { firstIssue } from '../../core/issue.ts';

/**
 * What bkp reads of an answer. Hetzner adds values and leaves fields away between versions: what is not needed may be missing, null or
 * new, and only an id that is none is an error.
 */
const text = z.string().catch('');
const id = z.number().int().min(1);
const amount = z.number().min(0);
const labels = z.record(z.string(), z.string()).catch({});
const bytesOfGb = amount
  .nullish()
  .catch(null)
  .transform(gb => gb ?? undefined);

export const image = z.object({
  id,
  type: text,
  /** `creating`, `available`, `unavailable`. */
  status: text,
  description: text,
  created: text,
  /** GB that are stored and paid for; unknown while it is made. */
  image_size: bytesOfGb,
  /** GB of the disk it was made from: a server needs at least as much. */
  disk_size: bytesOfGb,
  architecture: text,
  labels,
  created_from: z.object({ id, name: text }).nullish().catch(null),
  protection: z.object({ delete: z.boolean().catch(false) }).catch({ delete: false }),
});

export const serverType = z.object({ name: text, architecture: text, disk: amount.catch(0) });

export const server = z.object({
  id,
  name: text,
  status: text,
  labels,
  locked: z.boolean().catch(false),
  /** Ids of the volumes that are attached: none of them is in a snapshot. */
  volumes: z
    .array(id)
    .nullish()
    .catch(null)
    .transform(ids => ids ?? []),
  primary_disk_size: bytesOfGb,
  server_type: serverType.nullish().catch(null),
});

export const volume = z.object({
  id,
  name: text,
  size: amount.catch(0),
  server: id
    .nullish()
    .catch(null)
    .transform(of => of ?? undefined),
  linux_device: text,
  labels,
});

export const action = z.object({
  id,
  command: text,
  /** `running`, `success`, `error`. */
  status: text,
  progress: amount.catch(0),
  error: z.object({ code: text, message: text }).nullish().catch(null),
});

/** Of the price list; what a GB of an image costs in a month stands there as text. */
export const pricing = z.object({
  currency: text,
  image: z.object({ price_per_gb_month: z.object({ net: z.string().regex(/^\d+(\.\d+)?$/) }) }),
});

export type Image = z.infer<typeof image>;
export type Server = z.infer<typeof server>;
export type Volume = z.infer<typeof volume>;
export type Action = z.infer<typeof action>;

/** Reads one thing out of an answer. Throws BkpError('failed') when it is none at all. */
export function read<T>(shape: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new BkpError('failed', `Hetzner's API answered ${what} with something that is not understood: ${firstIssue(parsed.error)}`);
}
