import * as z from 'zod';
import { absolute, duration } from '../../../core/config/fields.ts';
import { where } from '../../../core/config/where.ts';
import { checks } from './checks.ts';

const text = z.string().min(1);

/** One named Redis or Valkey server. */
export const redisConfig = z.strictObject({
  host: text.default('127.0.0.1').describe('host name or address of the server, as the place in `where` sees it'),
  port: z.int().min(1).max(65535).default(6379),
  user: text.optional().describe('ACL user; default: the one named default'),
  password: z.string().optional(),
  tls: z
    .strictObject({
      ca: text.optional().describe("PEM file of the authority behind the server's certificate; default: those of the system"),
      cert: text.optional().describe('PEM file of a client certificate'),
      key: text.optional().describe('PEM file of its key'),
      serverName: text.optional().describe('name that is sent to the server (SNI); redis-cli compares it with no certificate'),
    })
    .optional()
    .describe('connect by TLS; its files lie where the tools run'),
  where,
  bin: z.array(text).default([]).describe('directories of redis-cli, redis-server or their namesakes of Valkey, looked at before PATH'),
  modules: z
    .array(text)
    .default([])
    .describe('modules, each as after `loadmodule` in redis.conf, that the private server of a proof or drill loads on this host'),
  marker: text
    .optional()
    .describe('name of a key whose value tells this database from all others; compared before every backup and restore'),
  timeout: duration.default('30m').describe('how long the server may take to save, to send or to load its data'),
  dataDir: absolute.optional().describe('where `bkp restore redis` without --to puts the files, on the host that runs bkp'),
  owner: text.optional().describe('user that owns restored files when bkp runs as root; default: redis or valkey'),
  listen: text.optional().describe('address of this host at which a server elsewhere fetches the data in `restore --online`'),
  checks,
});

export type RedisConfig = z.infer<typeof redisConfig>;
