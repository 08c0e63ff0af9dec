import * as z from 'zod';
import { absolute, duration } from '../../../core/config/fields.ts';
import { where } from '../../../core/config/where.ts';
import { checks } from './checks.ts';

const text = z.string().min(1);

const timeouts = z
  .strictObject({
    ask: duration.default('1m').describe('for what is asked of the directory before and after a backup'),
    backup: duration.default('2h'),
    restore: duration.default('2h'),
    dbcheck: duration.default('1h'),
    start: duration.default('2m').describe('until samba answers when a backup is proven'),
  })
  .prefault({});

/** One Active Directory domain of Samba, backed up from one of its DCs. */
export const sambaConfig = z.strictObject({
  mode: z
    .enum(['online', 'offline'])
    .optional()
    .describe(
      'online = a clone over the network; offline = the files of the DC on which the tools run; default: online with `user`, else offline',
    ),
  where,
  server: text.optional().describe('host name of the DC that is cloned; default: the DC on which the tools run'),
  user: text
    .regex(/^[^%]*$|\$\{/, {
      error: 'has a %, behind which Samba reads a password that `ps` shows; allowed is the name, and `password:` beside it',
    })
    .optional()
    .describe('account that may replicate the directory with its secrets, e.g. of Domain Admins; default: the machine account of the DC'),
  password: z.string().optional(),
  smbConf: text.optional().describe("path of smb.conf where the tools run; default: samba-tool's own"),
  bin: z.array(text).default([]).describe('directories of samba-tool and samba, looked at before PATH'),
  dbcheck: z.boolean().default(true).describe('check the database of the DC before each backup; what is wrong with it is a warning'),
  dataDir: absolute.optional().describe('where `bkp restore samba` without --to puts the domain'),
  site: text.optional().describe('site of the DC that a restore makes; --site overrides it'),
  timeouts,
  checks,
});

export type SambaConfig = z.infer<typeof sambaConfig>;

/** How backups of an entry are taken. The files of a DC keep all permissions of sysvol, which its machine account may not read over SMB. */
export const modeOf = ({ mode, user }: Pick<SambaConfig, 'mode' | 'user'>): 'online' | 'offline' =>
  mode ?? (user === undefined ? 'offline' : 'online');
