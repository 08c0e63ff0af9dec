import type { Store } from '../../core/contracts.ts';
import { sentence } from '../../core/errors.ts';
import { environmentSection, joinKey } from '../../core/key.ts';
import type { Rendered } from '../../core/reportMaterial.ts';
import { putBytes } from '../../flow/bytes.ts';
import type { Problem } from '../catalog.ts';

/**
 * Puts a report beside the record of its newest drill into each store: `drills/<id>.md` and `<id>.xml` of that drill, never written over,
 * and `drills/index.html`, the page of all drills, anew. None of them is signed: the record is, and they are made from it.
 * @param base `<prefix>/<env>/<kind>/<name>` of any of the environment's targets
 * @param id of the newest drill
 * @returns what could not be stored, by store; a store that failed does not keep the others from it. Never throws
 */
export async function publishReport(stores: readonly Store[], base: string, id: string, rendered: Rendered): Promise<Problem[]> {
  const section = environmentSection(base, 'drills');
  const files = [
    { key: joinKey(section, `${id}.md`), text: rendered.markdown, ifAbsent: true },
    { key: joinKey(section, `${id}.xml`), text: rendered.junit, ifAbsent: true },
    { key: joinKey(section, 'index.html'), text: rendered.html, ifAbsent: false },
  ];
  const results = await Promise.all(
    stores.map(async (store): Promise<Problem[]> => {
      const problems: Problem[] = [];
      for (const { key, text, ifAbsent } of files) {
        try {
          await putBytes(store, key, Buffer.from(text), { ifAbsent });
        } catch (error) {
          problems.push({ store: store.name, key, error: sentence(error) });
        }
      }
      return problems;
    }),
  );
  return results.flat();
}
