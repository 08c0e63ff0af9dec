import { fitted, objectName } from '../names.ts';
import type { Rendered, Subject, World } from './types.ts';

/** Labels by which everything of bkp is found, and deleted: `kubectl get all -l app.kubernetes.io/name=bkp`. */
export const labelsOf = (
  { env }: Pick<World, 'env'>,
  subject?: Pick<Subject, 'kind' | 'name'>,
  component?: string,
): Record<string, string> => ({
  'app.kubernetes.io/name': 'bkp',
  'app.kubernetes.io/instance': env.name,
  'app.kubernetes.io/managed-by': 'bkp-render',
  ...(subject ? { 'app.kubernetes.io/part-of': partOf(subject) } : {}),
  ...(component ? { 'app.kubernetes.io/component': component } : {}),
});

/** What a CronJob's name (52 characters) has left behind `bkp-backup-`. */
const MOST = 41;

/** `postgres-app`: one entry in names and labels. */
export const partOf = ({ kind, name }: Pick<Subject, 'kind' | 'name'>): string => fitted(name ? `${kind}-${name}` : kind, MOST);

/** An object with its name checked, and the file that it is written to. */
export function rendered(object: Record<string, any>, why: readonly string[] = [], most = 63): Rendered {
  const { name, namespace } = object['metadata'];
  objectName(name, most);
  if (namespace !== undefined) objectName(namespace);
  const short = String(name).replace(/^bkp-/, '');
  const node = /-node$/.test(namespace ?? '') ? 'node-' : '';
  return { file: `${node}${object['kind'].toLowerCase()}-${short}.yaml`, why, object };
}
