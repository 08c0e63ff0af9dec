import { createHash } from 'node:crypto';
import { parse } from 'yaml';
import { registry } from '../../../src/app.ts';
import { traitsOf } from '../../../src/commands/render/deps.ts';
import { environment, parseConfig } from '../../../src/core/config/index.ts';
import { SCHEDULES } from '../../../src/core/render/jobs.ts';
import { renderKubernetes } from '../../../src/core/render/kubernetes/index.ts';
import { yamlOf } from '../../../src/core/render/kubernetes/text.ts';
import type { KubernetesOptions, World } from '../../../src/core/render/kubernetes/types.ts';
import { renderSystemd } from '../../../src/core/render/systemd/index.ts';

/** Every kind and every place where tools run, with a secret of its own for each. */
export const CONFIG = `timezone: Europe/Berlin
keys:
  recipients: [age1qqq]
  identity: \${file:/etc/bkp/keys/identity.txt}
  signing: \${file:/etc/bkp/keys/signing.key}
  trusted: ["\${BKP_VERIFY_KEY}"]
environments:
  production:
    protected: true
    stores:
      local: { type: directory, path: /srv/bkp }
      offsite: { type: hetzner, region: fsn1, bucket: b, accessKey: "\${S3_KEY}", secretKey: "\${S3_SECRET}" }
      near: { type: s3, endpoint: "http://minio.storage.svc:9000", bucket: b, accessKey: "\${NEAR_KEY}", secretKey: "\${NEAR_SECRET}" }
    postgres:
      app: { engine: native, host: db.shop.svc, password: "\${APP_PGPASSWORD}", sslrootcert: /etc/bkp/pg/ca.crt, spool: /var/lib/bkp/spool/app, dataDir: /var/lib/postgresql/data/pgdata, stores: [local, offsite] }
      old: { engine: wal-g, host: 10.1.2.3, password: "\${OLD_PGPASSWORD}", walg: { libsodiumKey: "\${WALG_KEY}" }, stores: [near] }
    redis:
      cache: { where: { kubectl: { namespace: shop, selector: app=redis } }, password: "\${CACHE_PASSWORD}", stores: [local] }
      queue: { where: { kubectl: { namespace: shop, pod: queue-0 } }, stores: [near], schedule: "*/15 * * * *" }
      far: { where: { ssh: { host: r.example.org, user: bkp, identityFile: /etc/bkp/ssh/id, knownHosts: /etc/bkp/ssh/known_hosts } }, stores: [offsite] }
    volumes:
      nodes: { engine: server-snapshot, token: "\${HCLOUD_TOKEN}", selector: backup=yes, stores: [offsite] }
    samba:
      ad: { server: dc1.ad.example.org, user: backup, password: "\${SAMBA_PASSWORD}", stores: [offsite] }
    etcd:
      main: { stores: [local, offsite] }
  other:
    stores:
      secretive: { type: hetzner, region: fsn1, bucket: c, accessKey: "\${OTHER_KEY}", secretKey: "\${OTHER_SECRET}" }
`;

/** Sixty letters, and so the longest names that a config may have, three of which differ in their first letters or their last one only. */
export const LONG = `${'x'.repeat(59)}-`;

export const LONG_NAMES = CONFIG.replaceAll(/\b(app|old): \{/g, `$1${LONG}: {`)
  .replace('cache: {', `${LONG}cac: {`)
  .replace('queue: {', `${LONG}que: {`)
  .replaceAll(/\blocal\b/g, `loc${LONG}`);

export const OPTIONS: KubernetesOptions = {
  namespace: 'bkp',
  existingNamespace: false,
  image: 'registry.example.org/bkp:1.0',
  secretName: 'bkp',
  sealed: false,
  storeSize: '50Gi',
  spoolSize: '10Gi',
  scratchSize: '10Gi',
  drillSize: '50Gi',
  drill: true,
  schedules: SCHEDULES,
  pushgateway: 'http://pushgateway.monitoring.svc:9091',
  rules: true,
  nodeJobs: true,
  walg: [],
};

export const traits = traitsOf(registry);

export const worldOf = (text: string = CONFIG, options: Partial<KubernetesOptions> = {}, env = 'production'): World => {
  const config = parseConfig(text, 'bkp.yaml', registry);
  return { config, env: environment(config, env), options: { ...OPTIONS, ...options }, traits };
};

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export const entriesOf = ({ env }: World): { kind: string; name: string }[] =>
  Object.entries(env.targets).flatMap(([kind, entries]) => Object.keys(entries).map(name => ({ kind, name })));

/** What is printed, read back: no object of the renderer's own, and what YAML made of it. */
export function kubernetes(text?: string, options?: Partial<KubernetesOptions>) {
  const world = worldOf(text, options);
  const made = renderKubernetes(world, entriesOf(world), sha256);
  const objects: any[] = made.objects.map(each => parse(yamlOf(each)));
  const of = (kind: string, name?: string): any[] =>
    objects.filter(each => each.kind === kind && (name === undefined || each.metadata.name === name));
  return { ...made, objects, of, one: (kind: string, name: string): any => of(kind, name)[0] };
}

export const SYSTEMD = { program: '/usr/local/bin/bkp', user: 'bkp', credentials: '/etc/bkp/credentials', drill: true };

export function systemd(
  text: string = CONFIG,
  options: Partial<typeof SYSTEMD> = {},
  only?: (entry: { kind: string; name: string }) => boolean,
) {
  const world = worldOf(text);
  const chosen = entriesOf(world).filter(entry => !/^(cache|queue)$/.test(entry.name) && (only?.(entry) ?? true));
  return renderSystemd({ ...world, schedules: SCHEDULES, options: { ...SYSTEMD, ...options } }, chosen);
}

/** The pod of each rendered thing that starts one, with its name. */
export const podsOf = (objects: readonly any[]): { name: string; namespace: string; pod: any; labels: any }[] =>
  objects.flatMap(({ kind, metadata, spec }) => {
    const template =
      kind === 'CronJob' ? spec.jobTemplate.spec.template : kind === 'Deployment' || kind === 'Job' ? spec.template : undefined;
    return template ? [{ name: metadata.name, namespace: metadata.namespace, pod: template.spec, labels: template.metadata.labels }] : [];
  });
