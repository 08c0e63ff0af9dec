import type { NotifierEntry, StoreEntry, TargetEntry } from '../../config/types.ts';
import type { Job } from '../jobs.ts';
import { clusterOf, sshOf } from '../place.ts';
import { labelsOf, partOf, rendered } from './objects.ts';
import type { Rendered, Subject, World } from './types.ts';

type Rule = { to?: Record<string, unknown>[]; ports?: Record<string, unknown>[] };

const tcp = (...ports: number[]): Record<string, unknown>[] => ports.map(port => ({ protocol: 'TCP', port }));

const inNamespace = (name: string): Record<string, unknown> => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
});

/** Names are resolved by the cluster's own DNS. */
const DNS: Rule = {
  to: [inNamespace('kube-system')],
  ports: [
    { protocol: 'UDP', port: 53 },
    { protocol: 'TCP', port: 53 },
  ],
};

/** Everything but private networks: a service on the internet has no address that could be named. */
const INTERNET: Record<string, unknown>[] = [
  { ipBlock: { cidr: '0.0.0.0/0', except: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '127.0.0.0/8'] } },
  { ipBlock: { cidr: '::/0', except: ['fc00::/7', 'fe80::/10'] } },
];

const SERVICE = /^[a-z0-9-]+\.([a-z0-9-]+)\.svc(\.[a-z0-9.-]+)?$/;

/** Namespace in the name of a Service such as `db.shop.svc`, or undefined. */
export const namespaceIn = (host: string): string | undefined => SERVICE.exec(host)?.[1];

/** A host by name or address and one port of it. A name that says nothing of where it is leaves only the port to narrow by. */
function toHost(host: string, ports: Record<string, unknown>[], own: string): Rule {
  const namespace = namespaceIn(host) ?? (/^[a-z0-9-]+$/.test(host) ? own : undefined);
  if (namespace) return { to: [inNamespace(namespace)], ports };
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return { to: [{ ipBlock: { cidr: `${host}/32` } }], ports };
  return { ports };
}

function toUrl(address: string, own: string): Rule[] {
  const url = URL.parse(address);
  if (!url) return [{}];
  return [toHost(url.hostname, tcp(Number(url.port) || (url.protocol === 'http:' ? 80 : 443)), own)];
}

function toStore(store: StoreEntry, own: string): Rule[] {
  if (store.type === 'directory') return [];
  const proxy = store['proxy'] as string | undefined;
  const endpoint = store['endpoint'] as string | undefined;
  if (proxy !== undefined) return toUrl(proxy, own);
  return endpoint === undefined ? [{ to: INTERNET, ports: tcp(443) }] : toUrl(endpoint, own);
}

/** A domain controller is asked by many ports, those of RPC among them. */
const DC = [
  ...tcp(53, 88, 135, 389, 445, 464, 636, 3268, 3269),
  ...[53, 88, 389, 464].map(port => ({ protocol: 'UDP', port })),
  { protocol: 'TCP', port: 49152, endPort: 65535 },
];

function toSource(kind: string, entry: TargetEntry, own: string): Rule[] {
  const ssh = sshOf(entry);
  // Behind the Service `kubernetes` the apiserver listens on one of these.
  if (clusterOf(entry)) return [{ ports: tcp(443, 6443) }];
  if (ssh) return [toHost(ssh.host, tcp(ssh.port ?? 22), own)];
  if (kind === 'volumes')
    return entry['endpoint'] === undefined ? [{ to: INTERNET, ports: tcp(443) }] : toUrl(String(entry['endpoint']), own);
  if (kind === 'etcd') return (entry['endpoints'] as string[]).flatMap(each => toUrl(each, own));
  if (kind === 'samba') return [entry['server'] === undefined ? { ports: DC } : toHost(String(entry['server']), DC, own)];
  return [toHost(String(entry['host']), tcp(Number(entry['port'])), own)];
}

const selector = (world: World, subject?: Subject, component?: readonly string[]) => {
  const { 'app.kubernetes.io/managed-by': _by, ...matchLabels } = labelsOf(world, subject);
  const key = 'app.kubernetes.io/component';
  return { matchLabels, ...(component ? { matchExpressions: [{ key, operator: 'In', values: component }] } : {}) };
};

const policy = (
  world: World,
  namespace: string,
  name: string,
  podSelector: unknown,
  egress: readonly Rule[],
  why: string[],
  subject?: Subject,
): Rendered =>
  rendered(
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name, namespace, labels: labelsOf(world, subject) },
      spec: { podSelector, policyTypes: ['Ingress', 'Egress'], egress },
    },
    why,
  );

/** Nobody talks to a pod of bkp, and it talks to nobody but the cluster's DNS; the others allow the rest. */
export const closed = (world: World, namespace: string): Rendered =>
  policy(world, namespace, 'bkp', selector(world), [DNS], ['Closes every pod of bkp; the policies beside it open what each entry needs.']);

const unique = (rules: readonly Rule[]): Rule[] => [...new Map(rules.map(rule => [JSON.stringify(rule), rule])).values()];

/** By a mail server, or by an address that as a whole may be a secret. */
const toNotifier = (entry: NotifierEntry, own: string): Rule[] => {
  const { url, host, port } = entry as { url?: string; host?: string; port?: number };
  const ports = port === undefined ? tcp(465, 587) : tcp(port);
  if (host !== undefined) return [host.includes('${') ? { ports } : toHost(host, ports, own)];
  return url?.startsWith('http') ? toUrl(url, own) : [{ ports: tcp(80, 443) }];
};

/** To the stores that all pods of a subject read or write. */
export function storeOpenings(world: World, subject: Subject, stores: readonly StoreEntry[]): Rendered[] {
  const rules = unique(stores.flatMap(store => toStore(store, subject.namespace)));
  if (rules.length === 0) return [];
  return [policy(world, subject.namespace, `bkp-stores-${partOf(subject)}`, selector(world, subject), rules, [], subject)];
}

/** To those that jobs of a subject tell. */
export function notifierOpenings(world: World, subject: Subject): Rendered[] {
  const telling = subject.jobs.filter(({ notifiers }) => notifiers.length > 0);
  if (telling.length === 0) return [];
  const rules = unique(telling.flatMap(({ notifiers }) => notifiers).flatMap(each => toNotifier(each, subject.namespace)));
  const verbs = telling.map(({ verb }) => verb);
  return [policy(world, subject.namespace, `bkp-notify-${partOf(subject)}`, selector(world, subject, verbs), rules, [], subject)];
}

/** What the pods of one entry may talk to: its stores, its source where they have to, a pushgateway. Ports are those of the pods behind a Service. */
export function openings(world: World, subject: Subject): Rendered[] {
  const { env, options } = world;
  const entry = env.targets[subject.kind]![subject.name]!;
  const own = subject.namespace;
  const source = subject.jobs.filter((job: Job) => job.source).map(({ verb }) => verb);
  const push =
    options.pushgateway === undefined
      ? []
      : options.pushgateway.includes('${')
        ? [{ ports: tcp(9091, 443, 80) }]
        : toUrl(options.pushgateway, own);
  const name = partOf(subject);
  return [
    ...storeOpenings(
      world,
      subject,
      entry.stores.map(store => env.stores[store]!),
    ),
    policy(
      world,
      own,
      `bkp-source-${name}`,
      selector(world, subject, source),
      unique(toSource(subject.kind, entry, own)),
      ['The port is that of the pod, which a Service may call by another number.'],
      subject,
    ),
    ...notifierOpenings(world, subject),
    ...(push.length > 0 ? [policy(world, own, `bkp-push-${name}`, selector(world, subject, ['status']), push, [], subject)] : []),
  ];
}
