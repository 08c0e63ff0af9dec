import type { Store } from '../../core/contracts.ts';
import { sentence } from '../../core/errors.ts';
import type { Evidence } from '../../core/evidence.ts';
import { type DrillRecords, newestDrill } from '../records/drill.ts';

/**
 * The newest drill that any of some stores has on record. Throws nothing.
 * @returns `silent`: why a store does not tell
 */
export async function lastDrill(stores: readonly Store[], records: DrillRecords): Promise<{ newest?: Evidence; silent: string[] }> {
  const asked = await Promise.allSettled(stores.map(store => newestDrill(store, records)));
  const found = asked.flatMap(each => (each.status === 'fulfilled' && each.value ? [each.value] : []));
  const [newest] = found.sort((a, b) => b.id.localeCompare(a.id));
  return { ...(newest ? { newest } : {}), silent: asked.flatMap(each => (each.status === 'rejected' ? [sentence(each.reason)] : [])) };
}
