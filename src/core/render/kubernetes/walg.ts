import { fitted } from '../names.ts';
import { namespaceIn } from './network.ts';
import { labelsOf, rendered } from './objects.ts';
import type { Rendered, World } from './types.ts';

type Values = Readonly<Record<string, string>>;

/** A secret is only ever shown as a reference: the config's own, or one by its name in place of what is written out there. */
export const references = (secret: Values): Record<string, string> =>
  Object.fromEntries(Object.entries(secret).map(([name, value]) => [name, /^\$\{[^}]+\}$/.test(value) ? value : `\${${name}}`]));

/** A ConfigMap can be read by many: secrets are named in it, and come by a Secret of the same name. */
export const walgMap = (plain: Values, name: string): Record<string, any> => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: plain,
});

/** How the pod of a database reads a map and the Secret beside it, as lines of a comment. */
export const walgNotes = (secret: Values, name: string): string[] => [
  'Not in here: a Secret with these names, read beside this map by',
  '  envFrom:',
  `    - configMapRef: { name: ${name} }`,
  `    - secretRef: { name: ${name} }`,
  ...Object.entries(references(secret)).map(([key, value]) => `  ${key}: ${value}`),
];

/** WAL-G's settings for the pods of databases, in the namespace that the name of the server tells, else in that of bkp. */
export const walgMaps = (world: World): Rendered[] =>
  world.options.walg.map(({ name, plain, secret }) => {
    const called = fitted(`walg-${name}`);
    const namespace = namespaceIn(String(world.env.targets['postgres']?.[name]?.['host'])) ?? world.options.namespace;
    const { metadata, ...map } = walgMap(plain, called);
    const { apiVersion, kind, data } = map;
    return rendered({ apiVersion, kind, metadata: { ...metadata, namespace, labels: labelsOf(world) }, data }, walgNotes(secret, called));
  });
