import type { Bytes, Command, Site } from '../../../../core/contracts.ts';
import { parseDuration } from '../../../../core/duration.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { quoted } from '../../../../core/shell.ts';
import { type Context, called } from '../config.ts';

interface Item {
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  spec?: {
    suspend?: boolean;
    replicas?: number;
    taints?: unknown;
    nodeAffinity?: { required?: { nodeSelectorTerms?: { matchExpressions?: { key: string; values?: string[] }[] }[] } };
  };
  status?: { conditions?: { type: string; status: string }[] };
}

/** One thing that was put to sleep, and the words of kubectl that wake it. */
interface Slept {
  kind: string;
  namespace: string;
  name: string;
  before: unknown;
  wake: readonly string[];
}

/** What the sleeping cluster looks like, for the result. */
export interface Asleep {
  suspended: number;
  scaled: number;
  nodes: readonly string[];
  /** Volumes that only one node has, in words. */
  pinned: readonly string[];
}

async function* once(text: string): Bytes {
  yield Buffer.from(text);
}

/** kubectl of K3s itself, with the admin's kubeconfig that K3s writes. */
class Kubectl {
  readonly #site: Site;
  readonly program: string;

  constructor(site: Site, k3s: string) {
    this.#site = site;
    this.program = k3s;
  }

  async text(...args: string[]): Promise<string> {
    return (await this.#site.text({ file: this.program, args: ['kubectl', ...args] }, { timeoutMs: 60_000 })).stdout;
  }

  async items(kind: string): Promise<Item[]> {
    return (JSON.parse(await this.text('get', kind, '--all-namespaces', '-o', 'json')) as { items: Item[] }).items;
  }
}

const isOver = ({ status }: Item): boolean =>
  (status?.conditions ?? []).some(({ type, status: state }) => (type === 'Complete' || type === 'Failed') && state === 'True');

const suspension = (kind: string, { metadata: { name, namespace = 'default' } }: Item, to: boolean): string[] => [
  ...['patch', kind, name, '--namespace', namespace, '--type', 'merge', '--patch', `{"spec":{"suspend":${to}}}`],
];

const scaling = (kind: string, { metadata: { name, namespace = 'default' } }: Item, to: number): string[] => [
  ...['scale', kind, name, '--namespace', namespace, '--replicas', String(to)],
];

const slept = (kind: string, { metadata: { name, namespace = 'default' } }: Item, before: unknown, wake: readonly string[]): Slept => ({
  kind,
  namespace,
  name,
  before,
  wake,
});

/** What there is to put to sleep, each with the words that do it. */
async function plan(kubectl: Kubectl): Promise<{ does: string[]; entry: Slept }[]> {
  const suspended = ['cronjobs', 'jobs'].map(async kind =>
    (await kubectl.items(kind))
      .filter(item => !item.spec?.suspend && !isOver(item))
      .map(item => ({ does: suspension(kind, item, true), entry: slept(kind, item, { suspend: false }, suspension(kind, item, false)) })),
  );
  const scaled = ['deployments', 'statefulsets'].map(async kind =>
    (await kubectl.items(kind))
      .filter(({ spec }) => (spec?.replicas ?? 1) > 0)
      .map(item => {
        const replicas = item.spec?.replicas ?? 1;
        return { does: scaling(kind, item, 0), entry: slept(kind, item, { replicas }, scaling(kind, item, replicas)) };
      }),
  );
  return (await Promise.all([...suspended, ...scaled])).flat();
}

/** Volumes that lie on one node's disk, with that node. */
const pinnedTo = ({ metadata: { name }, spec }: Item): string[] => {
  const terms = spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const nodes = terms.flatMap(term => (term.matchExpressions ?? []).flatMap(({ values = [] }) => values));
  return nodes.length > 0 ? [`${name} lies on ${nodes.join(', ')}`] : [];
};

const script = (k3s: string, entries: readonly Slept[]): string =>
  [
    '#!/bin/sh',
    '# Puts back what ran before the restore.',
    ...entries.map(({ wake }) => `${quoted(k3s)} kubectl ${wake.map(quoted).join(' ')}`),
    '',
  ].join('\n');

/** The journal stands there before the first change, so that a run that is killed loses no count. */
async function sleep(ctx: Context, site: Site, kubectl: Kubectl, paths: { journal: string; wake: string }): Promise<Asleep> {
  const [todo, nodes, volumes] = [await plan(kubectl), await kubectl.items('nodes'), await kubectl.items('persistentvolumes')];
  const entries = todo.map(({ entry }) => entry);
  const kept = nodes.map(({ metadata, spec }) => ({ name: metadata.name, labels: metadata.labels, taints: spec?.taints }));
  const pinned = volumes.flatMap(pinnedTo);
  const journal = { version: 1, at: ctx.clock.now().toISOString(), slept: entries, nodes: kept, pinned };
  await site.write(paths.journal, once(`${JSON.stringify(journal, null, 2)}\n`));
  await site.write(paths.wake, once(script(kubectl.program, entries)));
  for (const { does } of todo) await kubectl.text(...does);
  for (const { name } of kept) await kubectl.text('delete', 'node', name, '--wait=false');
  const count = (test: RegExp): number => entries.filter(({ kind }) => test.test(kind)).length;
  return { suspended: count(/jobs/), scaled: count(/deployments|statefulsets/), nodes: kept.map(({ name }) => name), pinned };
}

async function untilReady(ctx: Context, kubectl: Kubectl, ended: () => unknown): Promise<void> {
  const until = ctx.clock.now().getTime() + parseDuration(ctx.config.k3s.resetTimeout);
  for (;;) {
    const error = await kubectl.text('get', '--raw', '/readyz').then(
      () => undefined,
      reason => reason,
    );
    if (error === undefined) return;
    ctx.signal.throwIfAborted();
    const end = ended();
    if (end)
      throw new BkpError('failed', `k3s server --disable-agent ended before its API answered: ${sentence(end)}`, {
        next: 'look at its log above',
      });
    if (ctx.clock.now().getTime() > until)
      throw new BkpError(
        'failed',
        `${called(ctx)}: the API of the restored K3s did not answer in ${ctx.config.k3s.resetTimeout}: ${sentence(error)}`,
        {
          next: '`k3s: { resetTimeout: 30m }` waits longer',
        },
      );
    await ctx.clock.sleep(500, ctx.signal);
  }
}

/**
 * Starts the restored K3s without its agent, so that no pod runs anywhere, takes away what would wake up with the first node, and stops it.
 * @param server the command that starts it; it has ended when this returns or throws
 */
export async function putToSleep(
  ctx: Context,
  site: Site,
  k3s: string,
  server: Command,
  paths: { journal: string; wake: string },
): Promise<Asleep> {
  const stop = new AbortController();
  let end: unknown;
  const running = site.text(server, { signal: AbortSignal.any([ctx.signal, stop.signal]), lasting: true }).then(
    () => {
      end = new Error('it ended by itself');
    },
    error => {
      end = error;
    },
  );
  const kubectl = new Kubectl(site, k3s);
  try {
    ctx.report.emit({ type: 'started', what: 'k3s server --disable-agent' });
    await untilReady(ctx, kubectl, () => end);
    return await sleep(ctx, site, kubectl, paths);
  } finally {
    stop.abort();
    await running;
  }
}
