import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Running, run } from './child.ts';
import { daemon, endpointAt, KEYS, killAll, makeBucket, type S3Server, stoppable, untilAnswers } from './s3.ts';
import { removeTemp, tempDir } from './temp.ts';
import { freePort } from './wait.ts';

/** What the one disk, in memory, says it can hold: bytes. Only what is stored takes memory. */
const DISK = 6 * 1024 ** 3;

/** One replica of everything, on loopback. Changes are agreed upon at once, not once a second: that took most of the start. */
const settings = (home: string, id: string, monitor: string): string => `[global]
fsid=${id}
mon_host=${monitor}
public_addr=127.0.0.1
cluster_addr=127.0.0.1
ms_bind_port_min=16800
ms_bind_port_max=18800
auth_cluster_required=cephx
auth_service_required=cephx
auth_client_required=cephx
auth_allow_insecure_global_id_reclaim=true
paxos_propose_interval=0.02
paxos_min_wait=0.01
mon_allow_pool_size_one=true
mon_data_avail_crit=1
mon_max_pg_per_osd=500
osd_pool_default_size=1
osd_pool_default_min_size=1
osd_pool_default_pg_num=1
osd_pool_default_pgp_num=1
osd_pool_default_pg_autoscale_mode=off
osd_crush_chooseleaf_type=0
osd_objectstore=memstore
memstore_device_bytes=${DISK}
admin_socket=
run_dir=${home}
keyring=${home}/keyring
log_file=${home}/$name.log
mon_data=${home}/mon
osd_data=${home}/osd
mgr_data=${home}/mgr
rgw_data=${home}/rgw
`;

/** Who may do what. The daemons know one another by these keys; without cephx radosgw never listens. */
const CAPS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'mon.': { mon: 'allow *' },
  'client.admin': { mon: 'allow *', osd: 'allow *', mgr: 'allow *' },
  'osd.0': { mon: 'allow profile osd', osd: 'allow *', mgr: 'allow profile osd' },
  'mgr.x': { mon: 'allow profile mgr', osd: 'allow *' },
  'client.rgw': { mon: 'allow rw', osd: 'allow rwx', mgr: 'allow rw' },
};

/** A key as Ceph writes it: kind 1 (AES), made at second and nanosecond 0, length 16, then the 16 bytes. */
const cephKey = (): string => Buffer.concat([Buffer.from('010000000000000000001000', 'hex'), randomBytes(16)]).toString('base64');

function keyring(): string {
  const entry = ([name, caps]: [string, Readonly<Record<string, string>>]) =>
    [`[${name}]`, `key = ${cephKey()}`, ...Object.entries(caps).map(([to, what]) => `caps ${to} = "${what}"`), ''].join('\n');
  return Object.entries(CAPS).map(entry).join('');
}

interface Cluster {
  home: string;
  daemons: Running[];
  /** Runs one of Ceph's tools to its end. */
  tool(file: string, ...args: string[]): Promise<unknown>;
  start(file: string, ...args: string[]): void;
}

function cluster(): Cluster {
  const home = tempDir();
  for (const name of ['mon', 'osd', 'mgr', 'rgw']) mkdirSync(join(home, name));
  const env = { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', CEPH_CONF: join(home, 'ceph.conf') };
  const daemons: Running[] = [];
  const tool = (file: string, ...args: string[]) => run(file, args, { env });
  return { home, daemons, tool, start: (file, ...args) => void daemons.push(daemon(file, args, env)) };
}

/** The monitor is the only member whose address must be known beforehand. */
async function startMonitor({ home, tool, start }: Cluster): Promise<void> {
  const [v2, v1] = await Promise.all([freePort(), freePort()]);
  const monitor = `[v2:127.0.0.1:${v2},v1:127.0.0.1:${v1}]`;
  const id = randomUUID();
  writeFileSync(join(home, 'ceph.conf'), settings(home, id, monitor));
  writeFileSync(join(home, 'keyring'), keyring(), { mode: 0o600 });
  const map = join(home, 'monmap');
  await tool('monmaptool', '--create', '--addv', 'a', monitor, '--fsid', id, map);
  await tool('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map, '--keyring', join(home, 'keyring'));
  start('ceph-mon', '-i', 'a', '-f');
}

async function startDisk({ tool, start }: Cluster): Promise<void> {
  await tool('ceph', '--connect-timeout', '20', 'osd', 'create');
  await tool('ceph-osd', '-i', '0', '--mkfs');
  start('ceph-osd', '-i', '0', '-f');
  start('ceph-mgr', '-i', 'x', '-f');
}

async function startGateway({ daemons, tool, start }: Cluster, port: number): Promise<void> {
  start('radosgw', '-n', 'client.rgw', '-f', '--rgw_frontends', `beast endpoint=127.0.0.1:${port}`);
  await untilAnswers(endpointAt(port), daemons);
  const keys = ['--access-key', KEYS.accessKey, '--secret', KEYS.secretKey];
  await tool('radosgw-admin', 'user', 'create', '--uid=rig', '--display-name=rig', ...keys);
}

/** A gateway that can be told how much a bucket may hold. */
export interface Rgw extends S3Server {
  /** Lets a bucket have so many objects, and no more. */
  limit(bucket: string, objects: number): Promise<void>;
}

/**
 * Starts a Ceph RADOS Gateway (Hetzner's engine) with a cluster of one behind it, all in memory: about 3 GiB can be stored.
 * @throws when it is not set up, or one of the daemons ends at its start
 */
export async function startRgw(): Promise<Rgw> {
  const made = cluster();
  const stop = stoppable(() => killAll(made.daemons).then(() => removeTemp(made.home)));
  await startMonitor(made);
  await startDisk(made);
  const port = await freePort();
  await startGateway(made, port);
  const limit = async (bucket: string, objects: number): Promise<void> => {
    const of = ['--quota-scope=bucket', `--bucket=${bucket}`];
    await made.tool('radosgw-admin', 'quota', 'set', ...of, `--max-objects=${objects}`);
    await made.tool('radosgw-admin', 'quota', 'enable', ...of);
  };
  const server: Rgw = { ...KEYS, endpoint: endpointAt(port), bucket: options => makeBucket(server, options), stop, limit };
  return server;
}
