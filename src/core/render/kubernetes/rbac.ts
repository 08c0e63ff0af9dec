import { objectName } from '../names.ts';
import { kubectlOf } from '../place.ts';
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

/** What an entry whose tools run in a container needs: an account, and the right to run commands there and nowhere else. */
export function rightsOf(world: World, subject: Subject): Rendered[] {
  const job = subject.jobs.find(each => accountOf(subject, each) !== 'bkp');
  const kubectl = job && kubectlOf(job.entry);
  if (!job || !kubectl) return [];
  const name = `bkp-${partOf(subject)}`;
  const there = { name, namespace: objectName(kubectl.namespace), labels: labelsOf(world, subject) };
  return [
    account(world, subject.namespace, name, subject),
    rendered({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: there, rules: rules(kubectl.pod) }),
    rendered({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: there,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: subject.namespace }],
    }),
  ];
}
