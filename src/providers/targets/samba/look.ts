import * as z from 'zod';
import { BkpError } from '../../../core/errors.ts';
import { QUESTION } from './question.ts';
import type { Tools } from './tools.ts';

const count = z.int().min(0);

const shape = z.looseObject({
  version: z.string(),
  sid: z.string(),
  guid: z.string(),
  realm: z.string(),
  netbios: z.string(),
  /** NetBIOS name of the DC by its smb.conf. */
  name: z.string(),
  dcs: z.array(z.object({ name: z.string(), host: z.string().nullable() })),
  sites: z.array(z.string()),
  /** The DC holds the partitions of DNS. */
  dns: z.boolean(),
  users: count,
  computers: count,
  groups: count,
  /** Group policies that the directory has; the files of each are a directory of sysvol. */
  policies: count,
  rid: z.number().nullable(),
  ridError: z.string().optional(),
  /** `links` = what is neither a file nor a directory; by its files only. */
  sysvol: z.object({ files: count, policies: count, denied: z.array(z.string()), links: z.array(z.string()) }).nullable(),
  sysvolError: z.string().optional(),
  paths: z.object({ private: z.string(), state: z.string(), binddns: z.string(), smbConf: z.string(), sysvol: z.string().nullable() }),
  /** Files that smb.conf includes from where no backup takes them; by its files only. */
  includes: z.array(z.string()).optional(),
  /** The database is kept by LMDB and not by TDB; by its files only. */
  lmdb: z.boolean().optional(),
  /** The account is of a group that may replicate everything; only over the network. */
  admin: z.boolean().optional(),
  /** For whom the KDC gave a ticket; only with `--ticket`. */
  ticket: z.string().optional(),
});

/** What a domain says of itself: who it is, how much is in it, whether it can be backed up. DCs and their accounts are not counted. */
export type Look = z.infer<typeof shape>;

/** The answer is the last line: Samba warns on either stream. */
export function parseLook(stdout: string): Look {
  const line = stdout.trim().split('\n').at(-1) ?? '';
  try {
    return shape.parse(JSON.parse(line));
  } catch (error) {
    throw new BkpError('failed', `what Samba says of the domain cannot be read: ${line.slice(0, 200) || 'nothing'}`, { cause: error });
  }
}

/**
 * Asks a domain, by its files or over the network.
 * @param args samba-tool's own options: `-s`, `-P`, `-U`; `--server` for LDAP and SMB
 * @param env what the process sees beside a minimal environment
 * @throws BkpError('failed') as the tool said it
 */
export async function ask(
  tools: Pick<Tools, 'site' | 'python'>,
  args: readonly string[],
  options: { env?: Record<string, string>; timeoutMs: number },
): Promise<Look> {
  const command = { file: tools.python, args: ['-c', QUESTION, ...args], env: options.env ?? {} };
  return parseLook((await tools.site.text(command, { timeoutMs: options.timeoutMs })).stdout);
}
