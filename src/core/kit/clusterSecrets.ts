/** What of a Secret of Kubernetes is looked at. */
export interface ClusterSecret {
  metadata: {
    name: string;
    namespace?: string;
    creationTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: { kind?: string; name?: string }[];
    managedFields?: { time?: string }[];
  };
  type?: string;
  data?: Record<string, string>;
}

/** The label that the controller of sealed-secrets gives its private keys. */
export const SEALING_LABEL = 'sealedsecrets.bitnami.com/sealed-secrets-key';

export const isSealingKey = ({ metadata }: ClusterSecret): boolean => metadata.labels?.[SEALING_LABEL] !== undefined;

/** Types of Secrets that whatever made them makes again: tokens of service accounts and of joining nodes, records of Helm's releases. */
const MADE_AGAIN = new Set([
  'kubernetes.io/service-account-token',
  'bootstrap.kubernetes.io/token',
  'helm.sh/release.v1',
  'helm.cattle.io/release.v1',
]);

/** What K3s writes for itself, and again on a new node: its serving certificate, and a password for each node. */
const isK3sOwn = ({ metadata: { name, namespace } }: ClusterSecret): boolean =>
  namespace === 'kube-system' && (name === 'k3s-serving' || name.endsWith('.node-password.k3s'));

/** When it was last changed, as far as Kubernetes tells: by the newest of its managed fields, else when it was made. */
export function changedAt({ metadata }: ClusterSecret): Date | undefined {
  const times = [metadata.creationTimestamp, ...(metadata.managedFields ?? []).map(({ time }) => time)].flatMap(time =>
    time === undefined ? [] : [Date.parse(time)],
  );
  return times.length === 0 ? undefined : new Date(Math.max(...times));
}

/** Kubernetes cuts its times to the second. */
const SECOND_MS = 1000;

const called = ({ metadata: { name, namespace } }: ClusterSecret): string => `${namespace}/${name}`;

/** What comes back by itself: it belongs to something that makes it again, such as a SealedSecret, or its type says so. */
const isMadeAgain = (secret: ClusterSecret): boolean =>
  (secret.metadata.ownerReferences ?? []).length > 0 || MADE_AGAIN.has(secret.type ?? '') || isK3sOwn(secret);

/**
 * Secrets that are nowhere but in the cluster: made again by nothing, in no backup of its datastore, and in no kit. Keys of sealed-secrets
 * are not looked at here.
 * @param backupAt recovery point of the newest backup of this cluster's datastore; undefined = there is none
 * @returns a sentence for each
 */
export function onlyInCluster(secrets: readonly ClusterSecret[], backupAt: Date | undefined): string[] {
  return secrets
    .filter(secret => !isSealingKey(secret) && !isMadeAgain(secret))
    .flatMap(secret => {
      const changed = changedAt(secret);
      if (backupAt && changed && changed.getTime() + SECOND_MS <= backupAt.getTime()) return [];
      const since = changed ? `of ${changed.toISOString()}` : 'of an unknown time';
      const why = backupAt ? `the newest backup of the cluster's datastore is of ${backupAt.toISOString()}` : 'no backup has its datastore';
      return [`Secret ${called(secret)} (${since}) is only in the cluster: nothing makes it again, and ${why}`];
    });
}
