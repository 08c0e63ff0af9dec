import { createHash, randomBytes } from 'node:crypto';
import type { Check, Store, Target, TargetContext } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { joinKey } from '../core/key.ts';
import { putBytes, readAll } from '../flow/bytes.ts';

/** A real object goes in, is looked at, read in part, listed and removed: what a backup and a restore will ask of the store. */
async function checkStore(store: Store, base: string): Promise<Check> {
  const key = joinKey(base, 'doctor', randomBytes(8).toString('hex'));
  const bytes = randomBytes(4096);
  const name = `store ${store.name}`;
  try {
    await putBytes(store, key, bytes, { ifAbsent: true });
    const part = await readAll(store.get(key, { from: 1024, to: 2048 }));
    const listed: string[] = [];
    for await (const object of store.list(key)) listed.push(object.key);
    const [removed] = await store.remove([key]);
    if (!part.equals(bytes.subarray(1024, 2048))) throw new BkpError('verifyFailed', 'it gave back other bytes than were put');
    if (!listed.includes(key)) throw new BkpError('verifyFailed', 'it does not list what was put');
    if (!removed?.ok)
      return { name, state: 'warn', text: `an object could not be removed: ${removed?.reason}`, mend: 'prune needs the right to delete' };
    return { name, state: 'ok', text: 'put, ranged get, list and delete work' };
  } catch (error) {
    return { name, state: 'fail', text: sentence(error), ...(error instanceof BkpError && error.next[0] ? { mend: error.next[0] } : {}) };
  }
}

function checkKeys(ctx: TargetContext): Check[] {
  const probe = createHash('sha256').update('probe').digest();
  const attempt = (name: string, work: () => string, missing: Check['state']): Check => {
    try {
      return { name, state: 'ok', text: work() };
    } catch (error) {
      return {
        name,
        state: missing,
        text: sentence(error),
        ...(error instanceof BkpError && error.next[0] ? { mend: error.next[0] } : {}),
      };
    }
  };
  return [
    attempt(
      'signing key',
      () => {
        const signed = ctx.keys.sign(probe);
        if (!ctx.keys.verify(probe, signed))
          throw new BkpError(
            'usage',
            `the signing key of this host (${signed.key}) is not among keys.trusted: nothing that it signs could be restored`,
            { next: `add ${signed.key} to keys.trusted` },
          );
        return `${signed.key} signs, and is trusted`;
      },
      'warn',
    ),
    attempt(
      'identity',
      () => (ctx.keys.recipients.length === 0 ? 'not needed: nothing is encrypted' : ctx.keys.identity() && 'there: this host can restore'),
      'warn',
    ),
  ];
}

function checkTools(ctx: TargetContext): Check[] {
  return ['zstd', 'age'].map(tool => {
    const path = ctx.run.which(tool);
    return path
      ? { name: tool, state: 'ok', text: path }
      : { name: tool, state: 'warn', text: 'missing: this process does its work, slower', mend: `apt-get install ${tool}` };
  });
}

/** Everything that one target's backup and restore need from this host, its stores and its source. */
export async function* doctorTarget(target: Target, ctx: TargetContext): AsyncGenerator<Check> {
  yield* checkTools(ctx);
  yield* checkKeys(ctx);
  for (const store of ctx.stores) yield await checkStore(store, ctx.base);
  yield* target.doctor(ctx);
}
