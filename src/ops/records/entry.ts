import * as z from 'zod';
import type { ObjectInfo, PerItem, Store } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { readAll } from '../../flow/bytes.ts';

/** Records are small; what is larger was not written by bkp. */
const LIMIT = 64 * 1024;

/** Text that nobody signed, made harmless for a terminal and a table: without control characters, at most 300 characters. */
export const plain = z.string().transform(text => text.replace(/\p{C}/gu, '\ufffd').slice(0, 300));

/** An ISO 8601 instant in UTC, as a Date. */
export const instant = z.iso.datetime().transform(text => new Date(text));

/** The bytes of an unsigned record: one line of JSON, UTF-8. */
export const encode = (record: object): Buffer => Buffer.from(`${JSON.stringify(record)}\n`);

/** Every object under a prefix. Throws what the store throws: half of a listing is none. */
export async function listed(store: Store, prefix: string): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  for await (const info of store.list(prefix)) found.push(info);
  return found;
}

/** A record as it was found. `gone` = removed since it was listed. */
export type Found<T> = { state: 'read'; value: T } | { state: 'gone' } | { state: 'unreadable'; why: string };

/** Reads an unsigned record. Never throws: what cannot be read has to protect too, so the caller is told which it is. */
export async function readRecord<T>(store: Store, key: string, shape: z.ZodType<T>): Promise<Found<T>> {
  try {
    const bytes = await readAll(store.get(key, { from: 0, to: LIMIT }));
    return { state: 'read', value: shape.parse(JSON.parse(bytes.toString('utf8'))) };
  } catch (error) {
    if (error instanceof BkpError && error.exit === 'notFound') return { state: 'gone' };
    return { state: 'unreadable', why: error instanceof BkpError ? error.message : 'it is cut short, or not one that this bkp knows' };
  }
}

/** Removes one record. @returns why it is still there; undefined when it is not. Never throws. */
export async function removeRecord(store: Store, key: string): Promise<string | undefined> {
  const [item] = await store.remove([key]).catch((error): PerItem[] => [{ key, ok: false, reason: sentence(error) }]);
  return item?.ok ? undefined : (item?.reason ?? 'the store does not say why');
}
