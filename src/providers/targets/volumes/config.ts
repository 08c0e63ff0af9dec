import * as z from 'zod';
import { filesConfig } from './files/config.ts';

const serverSnapshot = z
  .strictObject({
    engine: z.literal('server-snapshot').describe("Hetzner's snapshots of servers' own disks; attached volumes are in none of them"),
    token: z.string().min(1).describe('API token of the project, which may write'),
    endpoint: z.url().optional().describe("default: Hetzner's own"),
    servers: z.array(z.int().min(1)).min(1).optional().describe('ids of the servers'),
    selector: z.string().min(1).optional().describe('labels of the servers, e.g. backup=yes'),
    attached: z
      .enum(['fail', 'leave'])
      .default('fail')
      .describe('a server with attached volumes: `fail`, since their data is in no snapshot, or `leave` them out and say so'),
    shutdown: z.boolean().default(false).describe('shut each server down for its snapshot, and start it again'),
  })
  .refine(({ servers, selector }) => (servers === undefined) !== (selector === undefined), { error: 'needs either servers or selector' });

export type SnapshotConfig = z.infer<typeof serverSnapshot>;

/** One named set of servers, or of files; `engine` says which. */
export const volumesConfig = z.discriminatedUnion('engine', [serverSnapshot, filesConfig]);

export type VolumesConfig = z.infer<typeof volumesConfig>;
