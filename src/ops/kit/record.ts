import type { StackContext } from '../../core/contracts.ts';
import { makeId } from '../../core/id.ts';
import type { KitCovers, KitRecord } from '../../core/kit/record.ts';
import type { KitMeta } from '../../core/kit/types.ts';
import type { KitLock } from '../../flow/kit/seal.ts';
import type { Problem } from '../catalog.ts';
import { keepKit } from '../records/kit.ts';
import { assertTrusted } from '../signer.ts';

/** What both kinds of record need. */
export interface Recording {
  stack: StackContext;
  tool: string;
  /** At least three bytes. */
  random: Uint8Array;
}

const begun = ({ stack, tool, random }: Recording, { id: kit, madeAt }: KitMeta): Omit<KitRecord, 'did'> => {
  const now = stack.clock.now();
  return { version: 1, id: makeId(now, random), env: stack.env, at: now.toISOString(), tool, kit, madeAt };
};

const sealOf = (lock: KitLock): NonNullable<KitRecord['seal']> =>
  'passphrase' in lock ? { by: 'passphrase', count: 1 } : { by: 'recipient', count: lock.recipients.length };

/**
 * Tells every store of the environment that a kit was made, what it covers, and how it is sealed.
 * @returns stores that did not take it; undefined where this host cannot sign
 */
export const recordExport = (recording: Recording, meta: KitMeta, lock: KitLock, covers: KitCovers): Promise<Problem[] | undefined> =>
  keepKit(recording.stack, { ...begun(recording, meta), did: 'exported', covers, seal: sealOf(lock) });

/** How a check ended. */
export interface CheckEnd {
  good: boolean;
  /** It restored. */
  deep: boolean;
  /** Names of the stores that it tried. */
  tried: readonly string[];
}

/** Tells every store how a check ended. Never throws for a store: one that does not take it is a warning. */
export async function recordCheck(recording: Recording, meta: KitMeta, { good, deep, tried }: CheckEnd): Promise<void> {
  await keepKit(recording.stack, { ...begun(recording, meta), did: good ? 'proven' : 'failed', deep, tried: [...tried] });
}

/** Resolves the signing key while the variables of this host are there. @returns whether there is one that is trusted */
export function canSign({ keys }: StackContext): boolean {
  try {
    return assertTrusted(keys) !== '';
  } catch {
    return false;
  }
}
