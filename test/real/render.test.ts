import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { CONFIG, LONG_NAMES, podsOf } from '../core/render/world.ts';
import { type ApiServer, cleanUp, makeKeys, runBkp, startApiServer, startEtcd, tempDir } from './rig/index.ts';

afterAll(cleanUp);

/** On a bare machine the apiserver is still being built. */
const BUILD_MS = 20 * 60_000;

/** The least that makes an apiserver know a kind of somebody else. */
const definition = (group: string, version: string, kind: string, plural: string): object => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { kind, plural, singular: kind.toLowerCase() },
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } },
        },
      },
    ],
  },
});

const RENDER = ['render', 'kubernetes', '--image', 'registry.example.org/bkp:1.0', '--node-jobs', '--sealed'];
const PUSH = ['--pushgateway', 'http://pushgateway.monitoring.svc:9091'];
const LINEAGE = ['--lineage', 'old=7301234567890123456-1'];

function configFile(text: string = CONFIG): string {
  const path = join(tempDir(), 'bkp.yaml');
  writeFileSync(path, text);
  return path;
}

/** Runs `bkp render` with nothing of the config's secrets at hand. @returns the directory that it filled */
async function render(out: string, args: readonly string[], text?: string): Promise<{ stderr: string }> {
  const { code, stderr } = await runBkp([...args, '--out', out], { config: configFile(text) });
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return { stderr };
}

const filesOf = (dir: string): string[] => parse(readFileSync(join(dir, 'kustomization.yaml'), 'utf8')).resources;
const objectsOf = (dir: string): any[] => filesOf(dir).map(file => parse(readFileSync(join(dir, file), 'utf8')));

describe('what bkp renders, before a real kube-apiserver', () => {
  let api: ApiServer;
  const dir = tempDir();

  beforeAll(async () => {
    api = await startApiServer((await startEtcd()).endpoint);
    await api.apply(definition('monitoring.coreos.com', 'v1', 'PrometheusRule', 'prometheusrules'));
    await api.apply(definition('bitnami.com', 'v1alpha1', 'SealedSecret', 'sealedsecrets'));
    await api.kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
    for (const name of ['shop', 'bkp', 'bkp-node']) await api.kubectl('create', 'namespace', name);
    await render(dir, [...RENDER, ...PUSH, ...LINEAGE]);
  }, BUILD_MS);

  it('CF15: is accepted as it is, is applied, changed, applied again, and then left unchanged', async () => {
    const strict = ['--validate=strict', '--dry-run=server'];
    const tried = await api.kubectl('apply', '-k', dir, ...strict);
    expect(tried.split('\n')).toHaveLength(objectsOf(dir).length);
    await api.kubectl('apply', '-k', dir, '--validate=strict');
    const before = JSON.parse(await api.kubectl('get', 'cronjob', 'bkp-backup-redis-queue', '-n', 'bkp', '-o', 'json'));

    const changed = CONFIG.replace('*/15 * * * *', '*/20 * * * 1-7')
      .replace('bucket: b,', 'bucket: another,')
      .replace('db.shop.svc', 'db2.shop.svc');
    await render(dir, [...RENDER, ...PUSH, ...LINEAGE, '--image', 'registry.example.org/bkp:2.0'], changed);
    await api.kubectl('apply', '-k', dir, '--validate=strict');
    const after = JSON.parse(await api.kubectl('get', 'cronjob', 'bkp-backup-redis-queue', '-n', 'bkp', '-o', 'json'));
    expect(before.spec.schedule).toBe('*/15 * * * *');
    expect(after.spec.schedule).toBe('*/20 * * * *');
    expect(after.metadata.uid).toBe(before.metadata.uid);
    expect(after.spec.jobTemplate.spec.template.spec.containers[0].image).toBe('registry.example.org/bkp:2.0');
    expect(await api.kubectl('get', 'configmap', 'bkp-config', '-n', 'bkp', '-o', 'yaml')).toContain('bucket: another');

    const again = (await api.kubectl('apply', '-k', dir, '--validate=strict')).split('\n');
    expect(again.filter(line => !line.endsWith(' unchanged'))).toEqual([]);
  });

  it('is accepted with names that are as long as a config may have them', async () => {
    const out = tempDir();
    await render(out, [...RENDER, ...PUSH], LONG_NAMES);
    const tried = await api.kubectl('apply', '-k', out, '--validate=strict', '--dry-run=server');
    expect(tried.split('\n')).toHaveLength(objectsOf(out).length);
  });

  it('as one stream on standard output it is the same', async () => {
    const { code, stdout } = await runBkp([...RENDER, ...PUSH, ...LINEAGE], { config: configFile() });
    expect(code).toBe(0);
    const stream = parseAllDocuments(stdout).flatMap(each => each.toJS() ?? []);
    await render(dir, [...RENDER, ...PUSH, ...LINEAGE]);
    expect(stream).toEqual(objectsOf(dir));
  });

  it('every pod is admitted where Pod Security is `restricted`, those of server nodes where it is not', async () => {
    const pods = podsOf(objectsOf(dir)).map(({ name, namespace, pod, labels }) => ({
      ...{ apiVersion: 'v1', kind: 'Pod' },
      ...{ metadata: { name: `pod-${name}`, namespace, labels }, spec: pod },
    }));
    const made = await api.apply({ apiVersion: 'v1', kind: 'List', items: pods });
    expect(
      made
        .trim()
        .split('\n')
        .filter(line => line.endsWith(' created')),
    ).toHaveLength(pods.length);
    const node = pods.find(({ metadata }) => metadata.name === 'pod-bkp-backup-etcd-main')!;
    await expect(api.apply({ ...node, metadata: { ...node.metadata, namespace: 'bkp' } })).rejects.toThrow(
      /violates PodSecurity "restricted/,
    );
  });

  it('an account may run commands in the container of its entry, and nothing else', async () => {
    const may = async (account: string, verb: string, what: string, namespace: string): Promise<string> => {
      const [resource, sub] = what.split(' ');
      const words = ['auth', 'can-i', verb, resource!, ...(sub ? [`--subresource=${sub}`] : []), '-n', namespace];
      return api.kubectl(...words, '--as', `system:serviceaccount:bkp:${account}`).catch(() => 'no');
    };
    expect(await may('bkp-redis-cache', 'create', 'pods exec', 'shop')).toBe('yes');
    expect(await may('bkp-redis-cache', 'list', 'pods', 'shop')).toBe('yes');
    expect(await may('bkp-redis-queue', 'get', 'pods/queue-0 exec', 'shop')).toBe('yes');
    const refused: Parameters<typeof may>[] = [
      ['bkp-redis-cache', 'create', 'pods', 'shop'],
      ['bkp-redis-cache', 'get', 'secrets', 'shop'],
      ['bkp-redis-cache', 'create', 'pods exec', 'bkp'],
      ['bkp-redis-queue', 'create', 'pods/another exec', 'shop'],
      ['bkp-redis-queue', 'list', 'pods', 'shop'],
      ['bkp', 'get', 'pods', 'shop'],
    ];
    for (const each of refused) expect([...each, await may(...each)]).toEqual([...each, 'no']);
  });

  it('what bkp refuses would be refused, or never run: so it has to be refused before', async () => {
    const job = objectsOf(dir).find(({ kind }) => kind === 'CronJob');
    const refused = (change: object, spec: object): Promise<unknown> =>
      api.apply({ ...job, metadata: { ...job.metadata, ...change }, spec: { ...job.spec, ...spec } });
    await expect(refused({}, { schedule: '0 0 * * 7' })).rejects.toThrow(/above maximum/);
    await expect(refused({}, { schedule: '0 0 L * *' })).rejects.toThrow(/failed to parse/);
    await expect(refused({ name: 'a'.repeat(53) }, {})).rejects.toThrow(/must be no more than 52 characters/);
    await expect(refused({}, { timeZone: 'europe/berlin' })).rejects.toThrow(/unknown time zone/);
  });

  it('promtool takes the alerts', () => {
    const { spec } = objectsOf(dir).find(({ kind }) => kind === 'PrometheusRule');
    const path = join(tempDir(), 'rules.yml');
    writeFileSync(path, stringify(spec));
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', path], { encoding: 'utf8' });
    expect({ status, said: `${stdout}${stderr}` }).toMatchObject({ status: 0, said: expect.stringMatching(/SUCCESS: \d+ rules found/) });
  });

  it('a restore is a Job that may scale its own workload down, and no other one', async () => {
    const out = tempDir();
    const words = ['--restore', 'postgres/app', '--workload', 'statefulset/db', '--selector', 'app=db', '--claim', 'data-db-0'];
    await render(out, [
      'render',
      'kubernetes',
      ...words,
      '--database-image',
      'postgres:18.1',
      '--run-as',
      '999',
      '--target-time',
      '2026-01-15 14:30:00',
    ]);
    await api.kubectl('apply', '-k', out, '--validate=strict', '--dry-run=server');
    const workload = (name: string): object => ({
      ...{ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name, namespace: 'shop' } },
      spec: {
        ...{ replicas: 2, serviceName: name, selector: { matchLabels: { app: name } } },
        template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'db', image: 'postgres:18.1' }] } },
      },
    });
    for (const name of ['db', 'another']) await api.apply(workload(name));
    await api.kubectl('apply', '-k', out, '--validate=strict');
    const as = ['--as', 'system:serviceaccount:shop:bkp-restore-postgres-app', '-n', 'shop'];
    const job = objectsOf(out).find(({ kind }) => kind === 'Job');
    for (const { command } of job.spec.template.spec.initContainers.slice(0, 2)) await api.kubectl(...as, ...command.slice(1));
    expect(await api.kubectl('get', 'statefulset', 'db', '-n', 'shop', '-o', 'jsonpath={.spec.replicas}')).toBe('0');
    await expect(api.kubectl(...as, 'scale', '--replicas=0', 'statefulset/another')).rejects.toThrow(/forbidden/);
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'strict', labels } });
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'restore', namespace: 'strict' }, spec: job.spec.template.spec };
    expect(await api.apply(pod)).toContain('created');
  });
});

describe('a rendered job, run as it is', () => {
  /** Knows nobody's token. */
  const stranger = createServer((_, answer) =>
    answer.writeHead(401, { 'content-type': 'application/json' }).end('{"error":{"code":"unauthorized"}}'),
  );
  beforeAll(() => new Promise<void>(done => stranger.listen(0, '127.0.0.1', done)));
  afterAll(() => new Promise(done => stranger.close(done)));

  /** A config like that of a cluster, its stores and keys on this machine. */
  async function here() {
    const dir = tempDir();
    const keys = await makeKeys(join(dir, 'keys'));
    const store = join(dir, 'store');
    mkdirSync(store);
    const trusted = (keys['trusted'] as string[])[0]!;
    const text = stringify({
      keys: { ...keys, trusted: ['${VERIFY_KEY}'] },
      environments: {
        production: {
          stores: { local: { type: 'directory', path: store } },
          postgres: {
            app: { engine: 'native', host: '127.0.0.1', port: 1, password: '${APP_PASSWORD}', spool: join(dir, 'spool') },
            old: { engine: 'wal-g', host: '127.0.0.1', port: 1, password: '${OLD_PASSWORD}', walg: { libsodiumKey: '${WALG_KEY}' } },
          },
          redis: { cache: { port: 1, password: '${REDIS_PASSWORD}' } },
          volumes: {
            nodes: {
              engine: 'server-snapshot',
              token: '${HCLOUD_TOKEN}',
              endpoint: `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`,
              servers: [1],
            },
          },
        },
      },
    });
    const out = join(dir, 'out');
    await render(out, ['render', 'kubernetes'], text);
    return { objects: objectsOf(out), temp: tempDir(), secrets: { VERIFY_KEY: trusted } as Record<string, string> };
  }

  it('has every secret that it reads: none of them ends for want of one', async () => {
    const { objects, temp, secrets } = await here();
    const config = objects.find(({ kind }) => kind === 'ConfigMap').data['bkp.yaml'].replace('temp: /tmp', `temp: ${temp}`);
    const path = configFile(config);
    const jobs = podsOf(objects).filter(({ name }) => !name.startsWith('bkp-stream'));
    expect(jobs.length).toBe(19);
    const run = async ({ name, pod }: (typeof jobs)[number]): Promise<{ name: string; said: string; code: number | null }> => {
      const [{ args, env }] = pod.containers;
      const own = env.flatMap((each: any) =>
        each.valueFrom ? [[each.name, secrets[each.name] ?? 'aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ=']] : [],
      );
      const { code, stderr } = await runBkp(args, { config: path, env: Object.fromEntries(own) });
      return { name, said: stderr, code };
    };
    const ends: Awaited<ReturnType<typeof run>>[] = [];
    for (let n = 0; n < jobs.length; n += 4) ends.push(...(await Promise.all(jobs.slice(n, n + 4).map(run))));
    expect(ends.filter(({ said }) => /needs the (variable|file)/.test(said))).toEqual([]);
    expect(ends.filter(({ name, code }) => name.startsWith('bkp-backup') && code === 0)).toEqual([]);
  });
});
