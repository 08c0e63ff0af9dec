import type { StoreEntry, TargetEntry } from '../../config/types.ts';
import type { Job } from '../jobs.ts';
import { kubectlOf, sshOf } from '../place.ts';
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
  if (kubectlOf(entry)) return [{ ports: tcp(443, 6443) }];
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

/** What the pods of one entry may talk to: its stores, its source where they have to, a pushgateway. Ports are those of the pods behind a Service. */
export function openings(world: World, subject: Subject): Rendered[] {
  const { env, options } = world;
  const entry = env.targets[subject.kind]![subject.name]!;
  const own = subject.namespace;
  const stores = unique(entry.stores.flatMap(store => toStore(env.stores[store]!, own)));
  const source = subject.jobs.filter((job: Job) => job.source).map(({ verb }) => verb);
  const push =
    options.pushgateway === undefined
      ? []
      : options.pushgateway.includes('${')
        ? [{ ports: tcp(9091, 443, 80) }]
        : toUrl(options.pushgateway, own);
  const name = partOf(subject);
  return [
    ...(stores.length > 0 ? [policy(world, own, `bkp-stores-${name}`, selector(world, subject), stores, [], subject)] : []),
    policy(
      world,
      own,
      `bkp-source-${name}`,
      selector(world, subject, source),
      unique(toSource(subject.kind, entry, own)),
      ['The port is that of the pod, which a Service may call by another number.'],
      subject,
    ),
    ...(push.length > 0 ? [policy(world, own, `bkp-push-${name}`, selector(world, subject, ['status']), push, [], subject)] : []),
  ];
}
