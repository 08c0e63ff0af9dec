import type { Command, Runner, Where } from '../../core/contracts.ts';
import { BkpError } from '../../core/errors.ts';
import type { Door } from './far.ts';

type Kubectl = Extract<Where, { kubectl: unknown }>['kubectl'];

interface Pod {
  metadata: { name: string; deletionTimestamp?: string };
  status?: { conditions?: { type: string; status: string }[] };
}

/** In a pod kubectl finds its cluster by these; a child inherits nothing that is not named. */
const inCluster = (): Record<string, string> =>
  Object.fromEntries(
    ['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT'].flatMap(key => (process.env[key] ? [[key, process.env[key]]] : [])),
  );

const isReady = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined &&
  (status?.conditions ?? []).some(({ type, status: state }) => type === 'Ready' && state === 'True');

/** The tool's own end is told on stderr with its code; everything else is kubectl's failure. */
const TOOL_ENDED = /command terminated with exit code \d+/;

/** How a cluster is reached: kubectl's own way unless something is named. */
export interface ClusterAccess {
  kubeconfig?: string | undefined;
  context?: string | undefined;
}

/** kubectl with these words, at this cluster. */
export const kubectlAt = ({ kubeconfig, context }: ClusterAccess, words: readonly string[]): Command => ({
  file: 'kubectl',
  args: [...(kubeconfig ? ['--kubeconfig', kubeconfig] : []), ...(context ? ['--context', context] : []), ...words],
  env: inCluster(),
});

const kubectl = (where: Kubectl, words: readonly string[]): Command => kubectlAt(where, ['--namespace', where.namespace, ...words]);

async function podOf(run: Runner, where: Kubectl, signal: AbortSignal): Promise<string> {
  if (where.pod !== undefined) return where.pod;
  const args = ['get', 'pods', '--selector', where.selector ?? '', '--output', 'json', '--request-timeout=30s'];
  const { stdout } = await run.text(kubectl(where, args), { signal });
  const pods = (JSON.parse(stdout) as { items: Pod[] }).items;
  const ready = pods.filter(isReady).map(({ metadata }) => metadata.name);
  const [name] = ready.sort();
  if (name !== undefined) return name;
  throw new BkpError('failed', `no pod of ${where.selector} in namespace ${where.namespace} is ready (${pods.length} found)`, {
    next: `kubectl --namespace ${where.namespace} get pods --selector ${where.selector}`,
  });
}

/**
 * A container by `kubectl exec`, which can cut the end of what a tool says and still end with 0.
 * @throws BkpError('failed') when no pod of the selector is ready
 */
export async function kubectlDoor(run: Runner, where: Kubectl, signal: AbortSignal): Promise<Door> {
  const pod = await podOf(run, where, signal);
  const into = where.container === undefined ? [] : ['--container', where.container];
  const name = `pod ${where.namespace}/${pod}`;
  return {
    name,
    command: words => kubectl(where, ['exec', '--stdin', pod, ...into, '--', ...words]),
    closed: ({ message }) => (TOOL_ENDED.test(message) ? undefined : `${name} could not be reached: ${message}`),
  };
}
