import { BkpError } from './errors.ts';

/**
 * An id such as `20260115T020000Z-4f2a1c`: sorts by time, and three random bytes tell two runs of one second apart.
 * @param random at least three bytes
 */
export const makeId = (at: Date, random: Uint8Array): string =>
  `${at.toISOString().replace(/[-:]|\.\d+/g, '')}-${Buffer.from(random.subarray(0, 3)).toString('hex')}`;

export const isId = (text: string): boolean => /^\d{8}T\d{6}Z-[0-9a-f]{6}$/.test(text);

/** The instant inside an id, to the second; undefined for what is no id or no instant. */
export function instantOf(id: string): Date | undefined {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]{6}$/.exec(id) ?? [];
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(at.getTime()) ? undefined : at;
}

/** Passes an id through. Throws BkpError('usage') on anything else. */
export function checkId(text: string): string {
  if (!isId(text))
    throw new BkpError('usage', `"${text}" is no id of a backup`, { next: 'ids look like 20260115T020000Z-4f2a1c: bkp list' });
  return text;
}
