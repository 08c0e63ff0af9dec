import { createHash, randomBytes } from 'node:crypto';
import type { Check, Clock, Store } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { joinKey } from '../core/key.ts';
import { putBytes, readAll } from '../flow/bytes.ts';

/** What to do, where the error says so. */
export const mended = (error: unknown): Pick<Check, 'mend'> => (error instanceof BkpError && error.next[0] ? { mend: error.next[0] } : {});

/** One thing that a store has to do; `text` is what is said when it does. */
async function can(name: string, text: string, work: () => Promise<string | undefined>): Promise<Check> {
  try {
    const bad = await work();
    return bad === undefined ? { name, state: 'ok', text } : { name, state: 'fail', text: bad };
  } catch (error) {
    return { name, state: 'fail', text: sentence(error), ...mended(error) };
  }
}

/** A real object goes in, is looked at, read in part, listed and removed: what a backup and a restore will ask of the store. */
async function* objectChecks(store: Store, base: string, clock: Clock): AsyncGenerator<Check> {
  const key = joinKey(base, 'doctor', randomBytes(8).toString('hex'));
  const bytes = randomBytes(4096);
  const name = (what: string): string => `store ${store.name}: ${what}`;
  const put = await can(name('put'), 'an object was put, and is there at its size', async () => {
    const { bytes: size } = await putBytes(store, key, bytes, { ifAbsent: true });
    return size === bytes.length ? undefined : `${size} bytes are there, and ${bytes.length} were put`;
  });
  yield put;
  if (put.state === 'fail') return;
  yield await can(name('ranged get'), 'a part of it comes back as it was', async () => {
    const part = await readAll(store.get(key, { from: 1024, to: 2048 }));
    return part.equals(bytes.subarray(1024, 2048)) ? undefined : 'it gave back other bytes than were put';
  });
  yield await can(name('list'), 'the listing shows it', async () => {
    for await (const object of store.list(key)) if (object.key === key) return undefined;
    return 'it does not list what was put';
  });
  yield await overwriting(store, key, name('conditional write'));
  yield await can(name('abort'), 'an upload that is given up leaves nothing', async () => abandoned(store, `${key}-half`, clock.now()));
  const [removed] = await store.remove([key]).catch(error => [{ key, ok: false, reason: sentence(error) }]);
  yield removed?.ok
    ? { name: name('delete'), state: 'ok', text: 'it is gone again' }
    : {
        name: name('delete'),
        state: 'warn',
        text: `it could not be removed: ${removed?.reason}`,
        mend: 'prune needs the right to delete; backups do not',
      };
}

/** Every write of a manifest and of WAL relies on it: nothing that is there is ever written over. */
async function overwriting(store: Store, key: string, name: string): Promise<Check> {
  try {
    await putBytes(store, key, Buffer.from('other'), { ifAbsent: true });
    return { name, state: 'fail', text: 'a second write with "only if absent" went through: something there could be overwritten' };
  } catch (error) {
    if (!(error instanceof BkpError && error.exit === 'conflict')) return { name, state: 'fail', text: sentence(error), ...mended(error) };
  }
  const { conditionalPut } = await store.powers();
  if (conditionalPut) return { name, state: 'ok', text: 'of two writers one wins' };
  return { name, state: 'ok', text: 'the store has none: bkp looks first, and names are unique' };
}

async function abandoned(store: Store, key: string, now: Date): Promise<string | undefined> {
  const upload = await store.open(key);
  const block = Buffer.alloc(store.blockBytes);
  await upload.block(0, block, createHash('sha256').update(block).digest('hex'));
  await upload.abort();
  if (await store.stat(key)) return `${key} is there although its upload was given up`;
  const left = (await store.sweep?.(key, new Date(now.getTime() + 3_600_000))) ?? [];
  return left.length === 0 ? undefined : 'the upload was still there, and had to be swept';
}

/** What a store keeps and bills that no listing shows. */
async function hiddenCheck(store: Store, base: string): Promise<Check[]> {
  const name = `store ${store.name}: versions`;
  try {
    const seen = await store.hidden?.(`${base}/`);
    if (!seen || seen.objects === 0) return [];
    return [
      {
        name,
        state: 'warn',
        text: `${seen.objects} old version(s) and delete mark(s), ${seen.bytes} bytes, are hidden and billed`,
        mend: `versions: delete   # in the store's entry, so that what bkp removes is really gone`,
      },
    ];
  } catch (error) {
    return [{ name, state: 'warn', text: sentence(error), ...mended(error) }];
  }
}

/** Everything that backup, restore and prune will ask of one store of a target, by doing it. Never throws. */
export async function* doctorStore(store: Store, base: string, clock: Clock): AsyncGenerator<Check> {
  const checks: Check[] = [];
  for await (const check of objectChecks(store, base, clock)) {
    checks.push(check);
    yield check;
  }
  if (checks[0]?.state === 'fail') return;
  yield* await hiddenCheck(store, base);
  if (store.doctor) yield* store.doctor(base);
}
