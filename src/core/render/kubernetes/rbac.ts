import type { TargetEntry } from '../../config/types.ts';
import { objectName } from '../names.ts';
import { claimsIn, kubectlOf } from '../place.ts';
import { labelsOf, partOf, rendered } from './objects.ts';
import { accountOf } from './pod.ts';
import type { Rendered, Subject, World } from './types.ts';

const account = (world: World, namespace: string, name: string, subject?: Subject): Rendered =>
  rendered({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace, labels: labelsOf(world, subject) },
    automountServiceAccountToken: false,
  });

/** The account of all pods that have no business with the cluster: it may nothing, and its token is mounted nowhere. */
export const idleAccount = (world: World, namespace: string): Rendered => account(world, namespace, 'bkp');

/** Newer kubectl opens `exec` by GET, older by POST. Where the pod is chosen by labels, no name can narrow it down. */
function rules(pod: string | undefined): Record<string, unknown>[] {
  const named = pod === undefined ? {} : { resourceNames: [pod] };
  return [
    { apiGroups: [''], resources: ['pods'], verbs: pod === undefined ? ['get', 'list'] : ['get'], ...named },
    { apiGroups: [''], resources: ['pods/exec'], verbs: ['get', 'create'], ...named },
  ];
}

/** A Job mounts each claim, and restic runs in its pod, whose name nobody knows before. */
const OF_CLAIMS = [
  { apiGroups: [''], resources: ['persistentvolumeclaims', 'pods'], verbs: ['get', 'list'] },
  { apiGroups: [''], resources: ['pods/exec'], verbs: ['get', 'create'] },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: ['get', 'list', 'create', 'delete'] },
];

/** Where in the cluster an entry works, and what it may there. */
function reachOf(entry: TargetEntry): { namespace: string; rules: Record<string, unknown>[] } | undefined {
  const [kubectl, claims] = [kubectlOf(entry), claimsIn(entry)];
  if (kubectl) return { namespace: kubectl.namespace, rules: rules(kubectl.pod) };
  return claims && { namespace: claims.namespace, rules: OF_CLAIMS };
}

/** What an entry that works in the cluster needs: an account, and the right to do so there and nowhere else. */
export function rightsOf(world: World, subject: Subject): Rendered[] {
  const job = subject.jobs.find(each => accountOf(subject, each) !== 'bkp');
  const reach = job && reachOf(job.entry);
  if (!job || !reach) return [];
  const name = `bkp-${partOf(subject)}`;
  const there = { name, namespace: objectName(reach.namespace), labels: labelsOf(world, subject) };
  return [
    account(world, subject.namespace, name, subject),
    rendered({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: there, rules: reach.rules }),
    rendered({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: there,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: subject.namespace }],
    }),
  ];
}
