import type { Store, TargetContext } from '../../core/contracts.ts';
import type { Evidence } from '../../core/evidence.ts';
import type { ReportMaterial } from '../../core/reportMaterial.ts';
import type { Problem } from '../catalog.ts';
import { gathered } from '../gathered.ts';
import { mapTexts } from '../records/run.ts';
import { readDrills } from './drills.ts';
import { storedSizes } from './sizes.ts';

/** The stores of several targets, each once. */
export const storesOf = (targets: readonly TargetContext[]): Store[] => [
  ...new Map(targets.flatMap(({ stores }) => stores.map(store => [store.name, store]))).values(),
];

const told = ({ store, key, error }: Problem): string =>
  key === undefined || error.includes(key) ? error : `${key} in store ${store}: ${error}`;

/** A store that does not answer says so at each target. */
const once = (problems: readonly Problem[]): string[] => [...new Set(gathered(problems).map(told))];

/** Whether nothing of a record has to be taken out before it is shown. */
const isOpen = (evidence: Evidence, redact: (text: string) => string): boolean =>
  JSON.stringify(mapTexts(evidence, redact)) === JSON.stringify(evidence);

/**
 * Reads what a report is made from: the drills of an environment and the sizes of its backups, out of all stores of its targets.
 * @param targets contexts of one environment, at least one
 * @returns `signed`: the signed bytes of the newest drill's record, unless a secret stands in it. What could not be read or believed is in `material.leftOut`
 * @throws BkpError('storeUnreachable') when no store answers
 */
export async function gatherMaterial(
  targets: readonly TargetContext[],
  tool: string,
): Promise<{ material: ReportMaterial; signed: Buffer | undefined }> {
  const { base, keys, env, clock, redact = (text: string) => text } = targets[0]!;
  const { drills, problems } = await readDrills(storesOf(targets), base, keys);
  const sizes = await Promise.all(targets.map(storedSizes));
  const newest = drills.at(-1);
  const secret = newest && !isOpen(newest.evidence, redact);
  const material: ReportMaterial = {
    env,
    at: clock.now().toISOString(),
    tool,
    drills: drills.map(({ evidence }) => evidence),
    sizes: sizes.flatMap(each => each.sizes),
    leftOut: [
      ...once([...problems, ...sizes.flatMap(each => each.problems)]),
      ...(secret
        ? [
            `the signed record of drill ${newest.evidence.id} holds a secret of this config: it is not copied, and the secret should be changed`,
          ]
        : []),
    ],
  };
  return { material: mapTexts(material, redact) as ReportMaterial, signed: secret ? undefined : newest?.raw };
}
