import * as z from 'zod';
import { absolute, duration } from '../../../core/config/fields.ts';
import { where } from '../../../core/config/where.ts';
import type { TargetContext } from '../../../core/contracts.ts';
import { checks } from './checks.ts';

const k3s = z
  .strictObject({
    dataDir: absolute.default('/var/lib/rancher/k3s').describe("K3s's own data directory"),
    configDir: absolute.default('/etc/rancher/k3s').describe('directory of config.yaml, config.yaml.d and registries.yaml'),
    token: absolute.optional().describe('file of the server token; default: `server/token` in `dataDir`'),
    allowUnencryptedToken: z
      .boolean()
      .default(false)
      .describe('true = the server token is stored even where `keys.recipients` is empty, for everybody to read'),
    datastore: z.enum(['auto', 'etcd', 'sqlite']).default('auto').describe('what K3s keeps its data in; auto = what was written last'),
    adopt: z
      .boolean()
      .default(true)
      .describe('true = the snapshots that K3s takes by its own schedule are stored too, each at its own time'),
    unit: z.string().min(1).default('k3s').describe('systemd unit of the server'),
    resetTimeout: duration.default('10m').describe('how long each step of a cluster reset may take'),
  })
  .prefault({});

/** One named etcd, or the datastore of one K3s cluster. Files are those of the place where the tools run. */
export const etcdConfig = z.strictObject({
  flavor: z.enum(['auto', 'etcd', 'k3s']).default('auto').describe('what runs there; auto = K3s where there is a program `k3s`, else etcd'),
  where,
  endpoints: z
    .array(z.string().min(1))
    .min(1)
    .default(['http://127.0.0.1:2379'])
    .describe('client addresses; the first that is well is taken'),
  cacert: absolute.optional().describe("authority behind the server's certificate"),
  cert: absolute.optional().describe('client certificate'),
  key: absolute.optional().describe('key of the client certificate'),
  user: z.string().min(1).optional().describe('where auth is on: a user with the role root, which alone may take snapshots'),
  password: z.string().optional(),
  bin: z.array(z.string().min(1)).default([]).describe("directories of etcd's programs and of k3s, looked at before PATH"),
  connectTimeout: duration.default('5s').describe('how long an endpoint may take to answer'),
  timeout: duration.default('5m').describe('how long a snapshot may take at least; a second more for each MiB of the database'),
  dataDir: absolute.optional().describe('where `bkp restore etcd` without --to puts the data directory'),
  owner: z.string().min(1).optional().describe('user that owns a restored data directory when bkp runs as root'),
  k3s,
  checks,
});

export type EtcdConfig = z.infer<typeof etcdConfig>;
export type Context = TargetContext<EtcdConfig>;

/** Name of the entry, for sentences. */
export const called = ({ name }: Context): string => `etcd/${name}`;
