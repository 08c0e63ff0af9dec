import { fitted } from '../names.ts';
import type { Secret } from '../needs.ts';
import { refuseDoubles } from '../needs.ts';
import { labelsOf, rendered } from './objects.ts';
import type { KubernetesOptions, Rendered, World } from './types.ts';

/** Name of the Secret in which what belongs to something is kept. */
export const secretOf = ({ secretName }: Pick<KubernetesOptions, 'secretName'>, { scope }: Pick<Secret, 'scope'>): string =>
  fitted(`${secretName}-${scope}`);

interface Wanted {
  namespace: string;
  secrets: readonly Secret[];
}

/** The keys of every Secret that is referred to, by namespace and name. */
function grouped(options: KubernetesOptions, wanted: readonly Wanted[]): { namespace: string; name: string; keys: Secret[] }[] {
  const found = new Map<string, { namespace: string; name: string; keys: Secret[] }>();
  for (const { namespace, secrets } of wanted)
    for (const secret of secrets) {
      const name = secretOf(options, secret);
      const at = found.get(`${namespace}/${name}`) ?? { namespace, name, keys: [] };
      if (!at.keys.some(({ key, name: same }) => key === secret.key && same === secret.name)) at.keys.push(secret);
      found.set(`${namespace}/${name}`, at);
    }
  for (const { keys } of found.values()) refuseDoubles(keys);
  return [...found.values()];
}

const howTo = (namespace: string, name: string, keys: readonly Secret[]): string[] => [
  `kubectl --namespace ${namespace} create secret generic ${name} \\`,
  ...keys.map(({ key, from }, n) => {
    const source = from === 'env' ? `--from-file=${key}=FILE-WITH-IT` : `--from-file=${key}`;
    return `  ${source}${n === keys.length - 1 ? '' : ' \\'}`;
  }),
];

/** How each Secret that jobs refer to is made, as lines of a comment; a file per key, so that no shell's history has a value. */
export const secretNotes = (options: KubernetesOptions, wanted: readonly Wanted[]): string[] =>
  grouped(options, wanted).flatMap(({ namespace, name, keys }) => howTo(namespace, name, keys));

/** What stands where an encrypted value belongs. The controller cannot decrypt it, and then leaves a Secret that there is as it is. */
const TO_FILL = 'FILL-IN-WITH-KUBESEAL';

/** SealedSecrets with every key and no value: the operator fills them in. */
export const sealedSecrets = (world: World, wanted: readonly Wanted[]): Rendered[] =>
  grouped(world.options, wanted).map(({ namespace, name, keys }) => ({
    ...rendered(
      {
        apiVersion: 'bitnami.com/v1alpha1',
        kind: 'SealedSecret',
        metadata: { name, namespace, labels: labelsOf(world) },
        spec: {
          encryptedData: Object.fromEntries(keys.map(({ key }) => [key, TO_FILL])),
          template: { metadata: { name, namespace, labels: labelsOf(world) } },
        },
      },
      [
        'Yours to fill in; what is rendered again leaves this file alone. For each key:',
        `  kubeseal --raw --namespace ${namespace} --name ${name} --from-file=FILE-WITH-IT`,
      ],
    ),
    yours: true,
  }));
