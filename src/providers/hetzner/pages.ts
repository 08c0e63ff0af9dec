import { BkpError } from '../../core/errors.ts';

interface Page {
  meta?: { pagination?: { next_page?: number | null } };
}

/** Entries that one page holds at most. */
export const PER_PAGE = 50;

/** More pages than any project has: a server that names a next page for ever is broken. */
const MOST = 10_000;

/**
 * Every entry of every page, or an error: what is decided on half a listing is decided wrongly.
 * @param ask gets one page, counted from 1
 */
export async function everyPage<T>(what: string, key: string, ask: (page: number) => Promise<unknown>): Promise<T[]> {
  const found: T[] = [];
  for (let page = 1; page <= MOST; ) {
    const answer = (await ask(page)) as Page & Record<string, unknown>;
    const entries = answer?.[key];
    if (!Array.isArray(entries)) throw new BkpError('failed', `Hetzner's API answered ${what} without "${key}"`);
    found.push(...(entries as T[]));
    const next = answer.meta?.pagination?.next_page;
    if (typeof next !== 'number') return found;
    if (next <= page) throw new BkpError('failed', `Hetzner's API answered ${what}: page ${next} follows page ${page}`);
    page = next;
  }
  throw new BkpError('failed', `Hetzner's API answered ${what} with more than ${MOST} pages`);
}
