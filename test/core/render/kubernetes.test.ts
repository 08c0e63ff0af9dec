import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
import { SealedSecret } from '@kubernetes-models/sealed-secrets/bitnami.com/v1alpha1/SealedSecret';
import { Deployment } from 'kubernetes-models/apps/v1';
import { CronJob, Job } from 'kubernetes-models/batch/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { Role, RoleBinding } from 'kubernetes-models/rbac.authorization.k8s.io/v1';
import { ConfigMap, Namespace, PersistentVolumeClaim, ServiceAccount } from 'kubernetes-models/v1';
import { parse } from 'yaml';
import { ALERTS } from '../../../src/core/render/alerts.ts';
import { SCHEDULES } from '../../../src/core/render/jobs.ts';
import { renderKubernetes } from '../../../src/core/render/kubernetes/index.ts';
import { renderRestore } from '../../../src/core/render/kubernetes/restore.ts';
import { yamlOf } from '../../../src/core/render/kubernetes/text.ts';
import { fault } from '../../parses.ts';
import { root } from '../../real/rig/places.ts';
import { CONFIG, kubernetes, LONG, LONG_NAMES, podsOf, sha256, worldOf } from './world.ts';

const MODELS: Readonly<Record<string, new (data: any) => { validate(): void }>> = {
  ...{ CronJob, Job, Deployment, NetworkPolicy, Role, RoleBinding },
  ...{ ConfigMap, Namespace, PersistentVolumeClaim, ServiceAccount, PrometheusRule, SealedSecret },
};

const RESTORE = {
  ...{ kind: 'postgres', name: 'app', workload: 'statefulset/db', selector: 'app=db', claim: 'data-db-0' },
  ...{ image: 'postgres:18.1', uid: 999, program: '/opt/bkp/bkp', want: ['--latest'] },
};
const restored = (options: Partial<typeof RESTORE> & { mount?: string; namespace?: string } = {}, text?: string): any[] =>
  renderRestore(worldOf(text), { ...RESTORE, ...options }).map(each => parse(yamlOf(each)));

const plain = kubernetes();
const sealed = kubernetes(CONFIG, { sealed: true });
const container = (pod: any): any => pod.containers[0];
/** Names of variables, and paths of files, that come from Secrets. */
const secretsOf = (pod: any): string[] =>
  [
    ...container(pod).env.flatMap((each: any) => (each.valueFrom ? [each.name] : [])),
    ...container(pod).volumeMounts.flatMap((each: any) => (each.name.startsWith('secret-') ? [each.mountPath] : [])),
  ].sort();
const podNamed = (name: string): any => podsOf(plain.objects).find(each => each.name === name)!.pod;

describe('what is rendered for Kubernetes', () => {
  it('fits the published schema of its kind, every object of it', () => {
    const all = [...sealed.objects, ...restored()];
    expect(new Set(all.map(({ kind }) => kind))).toEqual(new Set(Object.keys(MODELS)));
    for (const object of all) expect(() => new MODELS[object.kind]!(object).validate()).not.toThrow();
  });

  it('has a CronJob per entry and verb, and a stream for each log', () => {
    const entries = ['postgres-app', 'postgres-old', 'redis-cache', 'redis-queue', 'redis-far', 'volumes-nodes', 'samba-ad', 'etcd-main'];
    const verbs = ['backup', 'prune', 'verify', 'status'];
    const wanted = [...entries.flatMap(entry => verbs.map(verb => `bkp-${verb}-${entry}`)), 'bkp-drill-full-dr', 'bkp-drill-redis-cache'];
    expect(
      plain
        .of('CronJob')
        .map(({ metadata }) => metadata.name)
        .sort(),
    ).toEqual(wanted.sort());
    expect(plain.of('Deployment').map(({ metadata }) => metadata.name)).toEqual(['bkp-stream-postgres-app', 'bkp-stream-postgres-old']);
  });

  it('CF15: no CronJob runs twice at a time, for ever, or long after its time; old Jobs go', () => {
    for (const { spec } of plain.of('CronJob')) {
      expect(spec).toMatchObject({
        ...{ concurrencyPolicy: 'Forbid', timeZone: 'Europe/Berlin' },
        ...{ startingDeadlineSeconds: expect.any(Number), successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 3 },
        jobTemplate: { spec: { activeDeadlineSeconds: expect.any(Number), backoffLimit: expect.any(Number) } },
      });
      expect(spec.jobTemplate.spec.template.spec.restartPolicy).toBe('Never');
    }
    const backup = (entry: string) => plain.one('CronJob', `bkp-backup-${entry}`).spec;
    expect(backup('postgres-app')).toMatchObject({ schedule: '0 2 * * *', startingDeadlineSeconds: 14_400 });
    expect(backup('postgres-app').jobTemplate.spec.activeDeadlineSeconds).toBe(86_400);
    expect(backup('redis-queue')).toMatchObject({ schedule: '*/15 * * * *', startingDeadlineSeconds: 450 });
    expect(backup('redis-queue').jobTemplate.spec.activeDeadlineSeconds).toBe(3600);
  });

  it('a backup that another try does not mend is not tried again, and a drained node is no failure', () => {
    const { podFailurePolicy } = plain.one('CronJob', 'bkp-backup-postgres-app').spec.jobTemplate.spec;
    expect(podFailurePolicy.rules[0]).toMatchObject({ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget' }] });
    expect(podFailurePolicy.rules[1].onExitCodes.values).toEqual([2, 3, 4, 5, 6, 7, 9, 10]);
  });

  it('every command is one that the program takes', () => {
    const commands = [...podsOf(plain.objects), ...podsOf(restored())].map(({ name, pod }) => ({
      name,
      fault: fault(container(pod).args),
    }));
    expect(commands.length).toBeGreaterThan(30);
    expect(commands.filter(each => each.fault)).toEqual([]);
  });

  it('the config of the pods is the environment, whole, with references and nothing else', () => {
    const text = plain.one('ConfigMap', 'bkp-config').data['bkp.yaml'];
    const [there, here] = [worldOf(text), worldOf()];
    expect(there.env).toEqual(here.env);
    expect(there.config).toMatchObject({ ...here.config, temp: '/tmp', defaultEnv: 'production', environments: expect.anything() });
    expect(Object.keys(there.config.environments)).toEqual(['production']);
    expect(text).not.toContain('secretive');
  });

  it('each job gets its own secrets and no other one', () => {
    const trusted = 'BKP_VERIFY_KEY';
    const signing = '/etc/bkp/keys/signing.key';
    const s3 = ['S3_KEY', 'S3_SECRET'];
    const wanted: Record<string, string[]> = {
      'bkp-backup-postgres-app': [signing, '/etc/bkp/pg/ca.crt', 'APP_PGPASSWORD', trusted, ...s3],
      'bkp-stream-postgres-app': [signing, '/etc/bkp/pg/ca.crt', 'APP_PGPASSWORD', trusted, ...s3],
      'bkp-prune-postgres-app': [signing, trusted, ...s3],
      'bkp-verify-postgres-app': [signing, trusted, ...s3],
      'bkp-status-postgres-app': ['/etc/bkp/pg/ca.crt', 'APP_PGPASSWORD', trusted, ...s3],
      'bkp-prune-postgres-old': [signing, trusted, 'NEAR_KEY', 'NEAR_SECRET', 'WALG_KEY'],
      'bkp-backup-redis-cache': [signing, 'CACHE_PASSWORD', trusted],
      'bkp-prune-redis-cache': [signing, trusted],
      'bkp-backup-redis-far': [signing, '/etc/bkp/ssh/id', '/etc/bkp/ssh/known_hosts', trusted, ...s3],
      'bkp-status-samba-ad': [trusted, ...s3],
    };
    for (const [name, secrets] of Object.entries(wanted))
      expect({ name, secrets: secretsOf(podNamed(name)) }).toEqual({ name, secrets: secrets.sort() });
    // What opens backups is in the hands of rehearsals, and of nothing else.
    const opening = podsOf(plain.objects).filter(({ pod }) => secretsOf(pod).includes('/etc/bkp/keys/identity.txt'));
    expect(opening.map(({ name }) => name).sort()).toEqual(['bkp-drill-full-dr', 'bkp-drill-redis-cache']);
  });

  it('restores are rehearsed each month, out of stores elsewhere, and one that lies in a claim alone out of that', () => {
    const { schedule, jobTemplate } = plain.one('CronJob', 'bkp-drill-full-dr').spec;
    const { pod, labels } = podsOf(plain.objects).find(({ name }) => name === 'bkp-drill-full-dr')!;
    expect(schedule).toBe('0 7 1 * *');
    expect(jobTemplate.spec.activeDeadlineSeconds).toBe(86_400);
    expect(container(pod).args).toEqual(['--env', 'production', 'drill', 'full-dr']);
    const identity = '/etc/bkp/keys/identity.txt';
    const signing = '/etc/bkp/keys/signing.key';
    expect(secretsOf(pod)).toEqual(
      [identity, signing, 'BKP_VERIFY_KEY', 'NEAR_KEY', 'NEAR_SECRET', 'S3_KEY', 'S3_SECRET', 'WALG_KEY'].sort(),
    );
    expect(secretsOf(podNamed('bkp-drill-redis-cache'))).toEqual([identity, signing, 'BKP_VERIFY_KEY'].sort());
    expect(container(podNamed('bkp-drill-redis-cache')).args.slice(2)).toEqual(['drill', 'redis', 'cache']);
    expect(container(podNamed('bkp-drill-redis-cache')).volumeMounts.map((each: any) => each.mountPath)).toContain('/srv/bkp');
    // Its config names what it brings back, and no store that is a claim.
    const { env } = worldOf(plain.one('ConfigMap', 'bkp-config-drill').data['bkp.yaml']);
    const entries = Object.entries(env.targets).flatMap(([kind, own]) => Object.keys(own).map(name => `${kind}/${name}`));
    expect(entries.sort()).toEqual(['etcd/main', 'postgres/app', 'postgres/old', 'redis/far', 'redis/queue']);
    expect(Object.keys(env.stores).sort()).toEqual(['near', 'offsite']);
    expect(pod.volumes.find((each: any) => each.name === 'config').configMap.name).toBe('bkp-config-drill');
    const { egress, podSelector } = plain.one('NetworkPolicy', 'bkp-stores-full-dr').spec;
    expect(labels).toMatchObject(podSelector.matchLabels);
    expect(egress).toHaveLength(2);
    expect(plain.warnings).toContainEqual(expect.stringMatching(/^samba\/ad is not drilled in a cluster.*bkp render systemd samba ad/));
  });

  it('a rehearsal has a disk of its own while it runs, and room for the servers that it starts', () => {
    const { pod } = podsOf(kubernetes(CONFIG, { drillSize: '70Gi', storageClass: 'fast' }).objects).find(
      ({ name }) => name === 'bkp-drill-full-dr',
    )!;
    expect(pod.volumes.find((each: any) => each.name === 'scratch').ephemeral.volumeClaimTemplate.spec).toEqual({
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'fast',
      resources: { requests: { storage: '70Gi' } },
    });
    expect(container(pod).resources.limits.memory).toBe('4Gi');
    expect(container(pod).volumeMounts).toContainEqual({ name: 'scratch', mountPath: '/tmp' });
  });

  it('no rehearsal where nobody wants one, where nothing would open, and of what full-dr leaves out', () => {
    const drills = (text: string, options = {}) =>
      kubernetes(text, options)
        .of('CronJob')
        .flatMap(({ metadata }) => (metadata.name.startsWith('bkp-drill-') ? [metadata.name] : []));
    expect(drills(CONFIG, { drill: false })).toEqual([]);
    expect(drills(CONFIG.replace(/ {2}identity: .*\n/, ''))).toEqual([]);
    expect(drills(CONFIG.replace('password: "${CACHE_PASSWORD}",', 'fullDr: { skip: true },'))).toEqual(['bkp-drill-full-dr']);
  });

  it('drills of staging are on the backups of production, and staging tells of them', () => {
    const text = `${CONFIG}  staging:
    restoresFrom: production
    stores: { s: { type: hetzner, region: fsn1, bucket: s, accessKey: "\${S_KEY}", secretKey: "\${S_SECRET}" } }
    notify: { ops: { type: ntfy, url: "\${NTFY_URL}", token: "\${NTFY}", on: [failure], verbs: [drill] } }
    postgres: { app: { engine: native, host: db.stage.svc, spool: /var/lib/bkp/spool/app } }
`;
    const world = worldOf(text, {}, 'staging');
    const objects: any[] = renderKubernetes(world, [{ kind: 'postgres', name: 'app' }], sha256).objects.map(each => parse(yamlOf(each)));
    const { pod } = podsOf(objects).find(({ name }) => name === 'bkp-drill-full-dr')!;
    expect(container(pod).args).toEqual(['--env', 'staging', 'drill', 'postgres', 'app']);
    expect(secretsOf(pod)).toEqual(expect.arrayContaining(['NTFY', 'NTFY_URL', 'S3_KEY', 'S3_SECRET']));
    expect(secretsOf(pod)).not.toContain('S_KEY');
    const there = worldOf(objects.find(({ metadata }) => metadata.name === 'bkp-config-drill').data['bkp.yaml'], {}, 'staging');
    expect(there.config.environments['production']!.targets['postgres']!['app']!.stores).toEqual(['offsite']);
    const backup = podsOf(objects).find(({ name }) => name === 'bkp-backup-postgres-app')!;
    expect(secretsOf(backup.pod)).not.toContain('NTFY');
    expect(objects.find(({ metadata }) => metadata.name === 'bkp-notify-full-dr').spec.egress).toMatchObject([
      { ports: [{ port: 80 }, { port: 443 }] },
    ]);
  });

  it('files of claims: an account that may make Jobs beside them; directories are left to their host', () => {
    const files = `volumes:
      claims: { engine: files, password: "\${RESTIC}", stores: [offsite], claims: { namespace: shop, selector: backup=yes, image: restic:1 } }
      host: { engine: files, password: "\${RESTIC}", stores: [offsite], paths: [/srv/uploads] }
`;
    const made = kubernetes(CONFIG.replace('volumes:\n', files));
    expect(made.warnings).toContainEqual(expect.stringMatching(/^volumes\/host is of directories.*bkp render systemd volumes host there/));
    expect(made.one('Role', 'bkp-volumes-claims')).toMatchObject({
      metadata: { namespace: 'shop' },
      rules: expect.arrayContaining([{ apiGroups: ['batch'], resources: ['jobs'], verbs: ['get', 'list', 'create', 'delete'] }]),
    });
    const pod = (verb: string) => podsOf(made.objects).find(({ name }) => name === `bkp-${verb}-volumes-claims`)!.pod;
    expect(pod('backup').serviceAccountName).toBe('bkp-volumes-claims');
    expect(pod('prune').serviceAccountName).toBe('bkp');
    // restic opens its repository for each of them.
    for (const verb of ['backup', 'prune', 'verify', 'status']) expect(secretsOf(pod(verb))).toContain('RESTIC');
    expect(made.one('NetworkPolicy', 'bkp-source-volumes-claims').spec.egress).toMatchObject([{ ports: [{ port: 443 }, { port: 6443 }] }]);
    expect(() => kubernetes(CONFIG.replace('volumes:\n', files.replace('password: "${RESTIC}", ', '')))).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/^volumes\/claims: nothing says the password/),
        next: [expect.stringContaining('--derive volumes/claims')],
      }),
    );
  });

  it('who is told gets his secret into the jobs that tell him, and a way there', () => {
    const notify = `    notify:
      ops: { type: ntfy, url: "\${NTFY_URL}", token: "\${NTFY}", on: [failure], verbs: [backup, status] }
    stores:
`;
    const made = kubernetes(CONFIG.replace('    stores:\n', notify));
    const holders = podsOf(made.objects).filter(({ pod }) => secretsOf(pod).includes('NTFY'));
    expect(new Set(holders.map(({ name }) => name.split('-')[1]))).toEqual(new Set(['backup', 'status']));
    const { podSelector, egress } = made.one('NetworkPolicy', 'bkp-notify-redis-far').spec;
    expect(podSelector.matchExpressions[0].values).toEqual(['backup', 'status']);
    expect(egress).toMatchObject([{ ports: [{ port: 80 }, { port: 443 }] }]);
    expect(made.notes.join('\n')).toContain('create secret generic bkp-notify-ops');
  });

  it('of a Secret only the keys that a job reads are mounted', () => {
    for (const { pod } of podsOf(plain.objects))
      for (const { name, secret } of pod.volumes.filter((each: any) => each.secret)) {
        const mounts = container(pod).volumeMounts.filter((each: any) => each.name === name);
        expect(secret.items.map(({ key }: any) => key)).toEqual(mounts.map(({ subPath }: any) => subPath));
      }
  });

  it('no secret is rendered: Secrets are told how to make, or SealedSecrets left to fill in', () => {
    expect(plain.of('Secret')).toEqual([]);
    expect(plain.notes.join('\n')).toContain('kubectl --namespace bkp create secret generic bkp-store-offsite');
    const shape = sealed.of('SealedSecret').find(({ metadata }) => metadata.name === 'bkp-store-offsite');
    expect(Object.keys(shape.spec.encryptedData)).toEqual(['S3_KEY', 'S3_SECRET']);
    expect(sealed.notes).toEqual([]);
  });

  it('a secret that stands in the config itself is refused, by its place', () => {
    const text = CONFIG.replace('"${APP_PGPASSWORD}"', 'hunter2');
    expect(() => kubernetes(text)).toThrow(
      expect.objectContaining({
        exit: 'refused',
        message: expect.stringMatching(/^environments\.production\.targets\.postgres\.app\.password stands in/),
      }),
    );
    expect(() => restored({}, text)).toThrow(/stands in/);
  });

  it('CF13: root is read-only, the user is 10001, and what is written to is a mount', () => {
    for (const { pod, name } of podsOf(plain.objects)) {
      const { securityContext, volumeMounts } = container(pod);
      expect(securityContext).toMatchObject({
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
      });
      expect(volumeMounts.map((each: any) => each.mountPath)).toContain('/tmp');
      if (!name.endsWith('etcd-main')) expect(pod.securityContext).toMatchObject({ runAsUser: 10001, runAsNonRoot: true });
    }
    const paths = (name: string) =>
      container(podNamed(name))
        .volumeMounts.filter((each: any) => !each.readOnly)
        .map((each: any) => each.mountPath);
    expect(paths('bkp-stream-postgres-app')).toEqual(['/tmp', '/srv/bkp', '/var/lib/bkp/spool/app']);
    expect(paths('bkp-backup-postgres-app')).toEqual(['/tmp', '/srv/bkp']);
    expect(paths('bkp-backup-redis-far')).toEqual(['/tmp']);
  });

  it('a claim per entry and directory, shared by pods that have to meet on its node', () => {
    expect(
      plain
        .of('PersistentVolumeClaim')
        .map(({ metadata }) => metadata.name)
        .sort(),
    ).toEqual(['bkp-local-etcd-main', 'bkp-local-postgres-app', 'bkp-local-redis-cache', 'bkp-spool-postgres-app']);
    const prune = podsOf(plain.objects).find(({ name }) => name === 'bkp-prune-redis-cache')!;
    const [term] = prune.pod.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution;
    expect(prune.labels).toMatchObject(term.labelSelector.matchLabels);
    expect(podNamed('bkp-backup-redis-far').affinity).toBeUndefined();
  });

  it('a stream is one at a time, and begins again when its config changes', () => {
    const stream = (text?: string) => kubernetes(text).one('Deployment', 'bkp-stream-postgres-app');
    expect(stream().spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    expect(stream().spec.template.spec.restartPolicy).toBe('Always');
    const sum = (each: any): string => each.spec.template.metadata.annotations['checksum/config'];
    expect(sum(stream(CONFIG.replace('db.shop.svc', 'db2.shop.svc')))).not.toBe(sum(stream()));
    expect(sum(stream(CONFIG))).toBe(sum(stream()));
  });

  it('only what runs commands in a container may, and only there', () => {
    expect(plain.of('Role').map(({ metadata, rules }) => [metadata.namespace, metadata.name, rules])).toEqual([
      [
        'shop',
        'bkp-redis-cache',
        [
          { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] },
          { apiGroups: [''], resources: ['pods/exec'], verbs: ['get', 'create'] },
        ],
      ],
      [
        'shop',
        'bkp-redis-queue',
        [
          { apiGroups: [''], resources: ['pods'], verbs: ['get'], resourceNames: ['queue-0'] },
          { apiGroups: [''], resources: ['pods/exec'], verbs: ['get', 'create'], resourceNames: ['queue-0'] },
        ],
      ],
    ]);
    const tokens = podsOf(plain.objects).filter(({ pod }) => pod.automountServiceAccountToken);
    expect(tokens.map(({ name, pod }) => [name, pod.serviceAccountName]).sort()).toEqual([
      ['bkp-backup-redis-cache', 'bkp-redis-cache'],
      ['bkp-backup-redis-queue', 'bkp-redis-queue'],
      ['bkp-status-redis-cache', 'bkp-redis-cache'],
      ['bkp-status-redis-queue', 'bkp-redis-queue'],
    ]);
  });

  it('pods talk to their own stores and source, and nobody to them', () => {
    const egress = (name: string): any[] => plain.one('NetworkPolicy', name).spec.egress;
    expect(plain.of('NetworkPolicy').filter(({ spec }) => spec.ingress || !spec.policyTypes.includes('Ingress'))).toEqual([]);
    const inShop = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'shop' } } };
    expect(egress('bkp-source-postgres-app')).toEqual([{ to: [inShop], ports: [{ protocol: 'TCP', port: 5432 }] }]);
    expect(egress('bkp-source-postgres-old')).toEqual([
      { to: [{ ipBlock: { cidr: '10.1.2.3/32' } }], ports: [{ protocol: 'TCP', port: 5432 }] },
    ]);
    expect(egress('bkp-stores-postgres-app')[0].to[0].ipBlock.except).toContain('10.0.0.0/8');
    expect(egress('bkp-stores-postgres-old')).toMatchObject([{ ports: [{ port: 9000 }] }]);
    expect(plain.one('NetworkPolicy', 'bkp-stores-redis-cache')).toBeUndefined();
    const components = plain.one('NetworkPolicy', 'bkp-source-samba-ad').spec.podSelector.matchExpressions[0].values;
    expect(components).toEqual(['backup']);
    // Each policy opens pods that there are.
    const labels = podsOf(plain.objects).map(each => each.labels);
    for (const { spec } of plain.of('NetworkPolicy')) {
      const { matchLabels, matchExpressions = [] } = spec.podSelector;
      const fits = (own: any): boolean =>
        Object.entries(matchLabels).every(([key, value]) => own[key] === value) &&
        matchExpressions.every((each: any) => each.values.includes(own[each.key]));
      expect(labels.some(fits)).toBe(true);
    }
  });

  it('what runs on a server node is root there with the right to read alone, in a namespace of its own', () => {
    const { pod, namespace } = podsOf(plain.objects).find(({ name }) => name === 'bkp-backup-etcd-main')!;
    expect(namespace).toBe('bkp-node');
    expect(pod).toMatchObject({ hostNetwork: true, securityContext: { runAsUser: 0 } });
    expect(pod.tolerations.map(({ key }: any) => key)).toContain('node-role.kubernetes.io/control-plane');
    expect(container(pod).securityContext.capabilities).toEqual({ drop: ['ALL'], add: ['DAC_READ_SEARCH'] });
    expect(pod.volumes.flatMap((each: any) => each.hostPath?.path ?? [])).toEqual([
      '/var/lib/rancher/k3s',
      '/etc/rancher/k3s',
      '/usr/local/bin/k3s',
    ]);
    const prune = podNamed('bkp-prune-etcd-main');
    expect(prune.hostNetwork).toBeUndefined();
    expect(container(prune).securityContext.capabilities).toEqual({ drop: ['ALL'] });
    expect(plain.one('Namespace', 'bkp-node').metadata.labels['pod-security.kubernetes.io/enforce']).toBe('privileged');
    expect(plain.one('Namespace', 'bkp').metadata.labels['pod-security.kubernetes.io/enforce']).toBe('restricted');
  });

  it('etcd and a DC that are backed up on their hosts are left out, and that is said', () => {
    const made = kubernetes(CONFIG.replace('samba:\n', 'samba:\n      dc: {}\n'), { nodeJobs: false });
    expect(made.warnings.filter(text => !/^samba\/ad/.test(text)).sort()).toEqual([
      expect.stringMatching(/^backup postgres\/app, backup postgres\/old: clocks of Europe\/Berlin skip the time of "0 2 \* \* \*"/),
      expect.stringMatching(/^etcd\/main is backed up on a server node: bkp render systemd etcd main there/),
      expect.stringMatching(/^samba\/dc is backed up on the DC: bkp render systemd samba dc there/),
    ]);
    expect(JSON.stringify(podsOf(made.objects).map(({ name }) => name))).not.toMatch(/etcd|samba-dc/);
    expect(made.of('Namespace').map(({ metadata }) => metadata.name)).toEqual(['bkp']);
  });

  describe('an etcd elsewhere', () => {
    const etcd = (entry: string, options = {}) =>
      kubernetes(CONFIG.replace('main: { ', `main: { ${entry}, `), { nodeJobs: false, ...options });
    const far = 'flavor: etcd, endpoints: ["https://etcd.data.svc:2379"], cacert: /etc/etcd/ca.pem';

    it('is asked by a pod, which has its certificates by a Secret and reaches nothing else', () => {
      const made = etcd(far);
      expect(made.warnings.join()).not.toContain('etcd/main');
      const { pod, namespace } = podsOf(made.objects).find(({ name }) => name === 'bkp-backup-etcd-main')!;
      expect({ namespace, hostNetwork: pod.hostNetwork }).toEqual({ namespace: 'bkp', hostNetwork: undefined });
      expect(pod.volumes.filter((each: any) => each.hostPath)).toEqual([]);
      const mounts = container(pod).volumeMounts.map(({ name, mountPath }: any) => `${name} ${mountPath}`);
      expect(mounts).toContain('secret-etcd-main /etc/etcd/ca.pem');
      expect(made.one('NetworkPolicy', 'bkp-source-etcd-main').spec.egress).toEqual([
        expect.objectContaining({ ports: [{ protocol: 'TCP', port: 2379 }] }),
      ]);
    });

    it('is asked from a server node where --node-jobs says so', () => {
      expect(podsOf(etcd(far, { nodeJobs: true }).objects).find(({ name }) => name === 'bkp-backup-etcd-main')!.namespace).toBe('bkp-node');
    });

    it.each([
      ['may be a K3s', 'endpoints: ["https://10.0.0.7:2379"]', /--node-jobs; a plain etcd is asked by a pod, with `flavor: etcd`$/],
      ['has a member where bkp runs', 'flavor: etcd, endpoints: ["https://10.0.0.7:2379", "https://[::1]:2379"]', /--node-jobs$/],
    ])('that %s gets no pod, and that is said', (_, entry, said) => {
      expect(etcd(entry).warnings).toContainEqual(expect.stringMatching(said));
    });
  });

  it('where nothing is left, nothing is rendered, and each entry says why', () => {
    const alone = CONFIG.replace(/ {4}postgres:[\s\S]*?(?= {4}etcd:)/, '');
    expect(() => kubernetes(alone, { nodeJobs: false })).toThrow(
      expect.objectContaining({ exit: 'usage', next: [expect.stringContaining('bkp render systemd etcd main there')] }),
    );
  });

  it('the alerts are those of deploy/prometheus, and silence is looked for entry by entry', () => {
    const file = parse(readFileSync(join(root, 'deploy/prometheus/bkp.rules.yml'), 'utf8'));
    expect(ALERTS).toEqual(file.groups[0].rules);
    const { rules } = plain.one('PrometheusRule', 'bkp').spec.groups[0];
    const silent = rules.filter(({ alert }: any) => alert === 'BkpNothingReported');
    expect(silent.map(({ expr }: any) => expr)).toContain(
      'absent_over_time(bkp_status_timestamp_seconds{env="production",kind="redis",name="cache"}[26h])',
    );
    expect(silent).toHaveLength(8);
    expect(silent[0].labels).toMatchObject({ severity: 'critical', env: 'production' });
    expect(kubernetes(CONFIG, { rules: false }).of('PrometheusRule')).toEqual([]);
  });

  it('the address of a pushgateway may come from a Secret', () => {
    const made = kubernetes(CONFIG, { pushgateway: '${BKP_PUSHGATEWAY}' });
    const { pod } = podsOf(made.objects).find(({ name }) => name === 'bkp-status-samba-ad')!;
    expect(container(pod).env).toContainEqual({
      name: 'BKP_PUSHGATEWAY',
      valueFrom: { secretKeyRef: { name: 'bkp-pushgateway', key: 'BKP_PUSHGATEWAY' } },
    });
  });

  it("WAL-G's settings for the pods of a database hold no secret", () => {
    const walg = [{ name: 'app', plain: { WALG_S3_PREFIX: 's3://b/x' }, secret: { AWS_SECRET_ACCESS_KEY: '${S3_SECRET}' } }];
    const map = kubernetes(CONFIG, { walg }).one('ConfigMap', 'walg-app');
    expect(map).toMatchObject({ metadata: { namespace: 'shop' }, data: { WALG_S3_PREFIX: 's3://b/x' } });
    expect(Object.keys(map.data)).toEqual(['WALG_S3_PREFIX']);
  });
});

describe('names of entries and stores that are longer than Kubernetes takes, or end in -', () => {
  const made = kubernetes(LONG_NAMES, { walg: [{ name: `app${LONG}`, plain: {}, secret: {} }] });

  it('are cut to names that it takes, each its own', () => {
    for (const object of made.objects) expect(() => new MODELS[object.kind]!(object).validate()).not.toThrow();
    const all = made.objects.map(({ kind, metadata: { name, namespace } }) => `${kind} ${namespace} ${name}`);
    expect(new Set(all).size).toBe(all.length);
    expect(made.of('CronJob')).toHaveLength(plain.of('CronJob').length);
    for (const { metadata } of made.of('CronJob')) expect(metadata.name.length).toBeLessThanOrEqual(52);
  });

  it('what a pod mounts and runs as is there by that name', () => {
    for (const { pod, namespace } of podsOf(made.objects)) {
      const names = (kind: string): string[] =>
        made
          .of(kind)
          .filter(each => each.metadata.namespace === namespace)
          .map(each => each.metadata.name);
      const claims = pod.volumes.flatMap((each: any) => each.persistentVolumeClaim?.claimName ?? []);
      expect(names('PersistentVolumeClaim')).toEqual(expect.arrayContaining(claims));
      expect(names('ServiceAccount')).toContain(pod.serviceAccountName);
    }
  });
});

describe('what no cluster would take is refused', () => {
  it.each([
    ['a schedule of bkp alone', CONFIG.replace('*/15 * * * *', '0 0 L * *'), {}, /schedule of backup redis\/queue/],
    ['a bad schedule in a flag', CONFIG, { schedules: { ...SCHEDULES, prune: 'soon' } }, /schedule of prune/],
    ['a bad schedule of drills', CONFIG, { schedules: { ...SCHEDULES, drill: '0 0 L * *' } }, /schedule of drill/],
    ['a namespace with capitals', CONFIG, { namespace: 'Bkp' }, /is no name/],
    ['a namespace of somebody else', CONFIG, { namespace: 'default' }, /is not bkp's to make/],
    ['an image with a space', CONFIG, { image: 'b kp' }, /is no image/],
    ['a size without a unit', CONFIG, { storeSize: '50' }, /is no size/],
    ['a path by a variable', CONFIG.replace('/srv/bkp', '"${DISK}"'), {}, /path of store local/],
    ['a context in a pod', CONFIG.replace('pod: queue-0', 'pod: queue-0, context: prod'), {}, /names nothing in it/],
    ['two files of one name', CONFIG.replace('/etc/bkp/ssh/known_hosts', '/etc/ssh/id'), {}, /would both be kept as "id"/],
  ])('%s', (_, text, options, said) => {
    expect(() => kubernetes(text, options)).toThrow(said);
  });

  it('an entry of the environment that is a loopback is told', () => {
    expect(kubernetes(CONFIG.replace('host: db.shop.svc', 'host: 127.0.0.1')).warnings).toContainEqual(
      expect.stringMatching(/^postgres\/app: host 127\.0\.0\.1 is the pod/),
    );
  });
});

describe('a restore', () => {
  it("scales the workload down and waits before anything, then runs bkp's single file in the database's own image", () => {
    const job = restored().find(({ kind }) => kind === 'Job');
    const { spec } = job.spec.template;
    expect(job.metadata).toMatchObject({ name: 'bkp-restore-postgres-app', namespace: 'shop' });
    expect(spec.initContainers.map((each: any) => each.command)).toEqual([
      ['kubectl', 'scale', '--replicas=0', 'statefulset/db'],
      ['kubectl', 'wait', '--for=delete', 'pod', '--selector=app=db', '--timeout=10m'],
      ['cp', '/opt/bkp/bkp', '/bkp/bkp'],
    ]);
    expect(container(spec)).toMatchObject({
      image: 'postgres:18.1',
      command: ['/bkp/bkp'],
      args: [
        '--env',
        'production',
        'restore',
        'postgres',
        'app',
        '--latest',
        '--to',
        '/var/lib/postgresql/data/pgdata',
        '--force',
        '--yes',
        '--confirm-env',
        'production',
      ],
    });
    expect(spec.securityContext).toMatchObject({ runAsUser: 999, fsGroup: 999 });
    expect(container(spec).volumeMounts).toContainEqual({ name: 'data', mountPath: '/var/lib/postgresql/data' });
    expect(secretsOf(spec)).toEqual(['/etc/bkp/keys/identity.txt', 'BKP_VERIFY_KEY', 'S3_KEY', 'S3_SECRET']);
  });

  it('reads no store that is a claim of another namespace', () => {
    const config = worldOf(restored().find(({ kind }) => kind === 'ConfigMap').data['bkp.yaml']);
    expect(config.env.targets['postgres']!['app']!.stores).toEqual(['offsite']);
    expect(() => restored({}, CONFIG.replace('stores: [local, offsite] }\n      old', 'stores: [local] }\n      old'))).toThrow(
      /no store but directories/,
    );
  });

  it.each([
    [{ workload: 'pod/db' }, /is no workload/],
    [{ mount: '/data' }, /does not lie inside/],
    [{ mount: '/var/lib/postgresql/data/pgdata' }, /does not lie inside/],
    [{ kind: 'etcd', name: 'main' }, /a restore of etcd is no Job/],
    [{ name: 'old' }, /nothing says where the data/],
    [{ claim: 'Data' }, /is no name/],
  ])('%j is refused', (options, said) => {
    expect(() => restored(options)).toThrow(said);
  });
});
