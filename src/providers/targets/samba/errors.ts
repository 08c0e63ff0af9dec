import { BkpError, sentence } from '../../../core/errors.ts';

/** What samba-tool says → what it means and what to do. It ends with 255 whatever went wrong (tried on 4.17), so only its words tell. */
const KNOWN: readonly { said: RegExp; text: string; next: string | readonly string[]; network?: true }[] = [
  {
    said: /No space left on device|Errno 28|Disk quota exceeded/i,
    text: 'the disk is full',
    next: '`temp:` in the config, or `temp:` of `where`, names a directory with room; the copy takes as much as the database',
  },
  {
    said: /RID Set|RID pool/,
    text: 'the DC has no usable RID pool, so nothing that is restored could be given a SID',
    next: [
      'run samba-tool dbcheck --fix on that DC, and look whether the holder of the RID role answers: samba-tool fsmo show',
      'or back up another DC: `server:`',
    ],
  },
  {
    said: /ACCOUNT_LOCKED_OUT|data 775/,
    text: 'the account is locked',
    next: 'samba-tool user unlock NAME; then look who tried wrong passwords',
  },
  {
    said: /PASSWORD_EXPIRED|PASSWORD_MUST_CHANGE|data (?:532|773)/,
    text: 'the password of the account has expired',
    next: 'samba-tool user setpassword NAME, and samba-tool user setexpiry NAME --noexpiry for an account of backups',
  },
  {
    said: /LDAP_INVALID_CREDENTIALS|LOGON_FAILURE|attempted logon is invalid|WRONG_PASSWORD|NO_SUCH_USER|data 52[5e]/i,
    text: 'the DC does not accept the user or its password',
    next: '`user:` and `password:` of the entry have to be those of an account of the domain',
  },
  {
    said: /DS_DRA_ACCESS_DENIED|0x2105|INSUFFICIENT_ACCESS|LDAP_INSUFFICIENT_ACCESS_RIGHTS/i,
    text: 'the account may not replicate the directory with its secrets',
    next: 'samba-tool group addmembers "Domain Admins" NAME, or another `user:`',
  },
  {
    network: true,
    said: /CONNECTION_REFUSED|connection attempt was refused|(?:HOST|NETWORK|PORT)_UNREACHABLE|not reachable|IO_TIMEOUT|time-?out period/i,
    text: 'no DC answers there',
    next: ['start samba there, or name another DC: `server:`', 'with the files of a DC at hand `mode: offline` needs none that runs'],
  },
  {
    said: /surrogates not allowed/,
    text: 'a name in sysvol is not in UTF-8, and samba-tool backs up no such name',
    next: ["on the DC: find /var/lib/samba/sysvol | LC_ALL=C.UTF-8 grep -axv '.*'", 'rename what it shows'],
  },
  {
    said: /mdb_copy not found/,
    text: 'the database is of LMDB, and mdb_copy, by which samba-tool copies it, is not there',
    next: 'apt-get install lmdb-utils on the DC; or `mode: online` with `user:` and `password:`',
  },
  {
    said: /ntacls\.py", line \d+, in backup_offline\b/,
    text: 'something in sysvol cannot be read, such as a symbolic link, or a file that went away meanwhile',
    next: 'on the DC: find /var/lib/samba/sysvol ! -type f ! -type d; what it finds has to be a file or a directory',
  },
  {
    network: true,
    said: /OBJECT_NAME_NOT_FOUND|object name is not found|NO_LOGON_SERVERS|BAD_NETWORK_NAME|DOMAIN_CONTROLLER_NOT_FOUND|find a writeable DC|NETLOGON_UNKNOWN/i,
    text: 'no DC is found under that name',
    next: 'name one that resolves where the tools run: `server:`',
  },
  {
    said: /CANT_ACCESS_DOMAIN_INFO|Configuration information could not be read|Could not find machine account|secrets\.ldb/,
    text: 'the machine account of a DC cannot be read',
    next: 'run as root on a DC (`where:`), or name an account of the domain: `user:` and `password:`',
  },
  {
    said: /Please check you are root|No database found|sam\.ldb.*No such file|Unable to open tdb.*sam\.ldb|Permission denied/i,
    text: 'the database of a DC cannot be opened',
    next: 'run as root on a DC (`where:`), and let `smbConf:` name its smb.conf',
  },
  {
    said: /Unable to load (?:default )?file/i,
    text: 'smb.conf cannot be read',
    next: '`smbConf:` names the smb.conf of the DC where the tools run',
  },
  {
    said: /samAccountName '[^']*' already in use/,
    text: 'the domain has an account of that name',
    next: '--server-name with a name that no computer of the domain has',
  },
  {
    said: /CN=Sites,.*parent does not exist/i,
    text: 'the domain has no such site',
    next: '--site NAME names one of the domain',
  },
  {
    said: /Operation not permitted|must be root|euid/i,
    text: 'this account may not set the permissions of sysvol',
    next: 'restore as root, on a file system with extended attributes',
  },
  {
    said: /No module named/,
    text: 'the Python modules of Samba are missing where the tools run',
    next: 'apt-get install python3-samba',
  },
];

/** Takes passwords that samba-tool made up out of what it says. Source: samba/netcmd/domain_backup.py and provision print them. */
export const withoutPasswords = (text: string): string =>
  text.replace(/((?:password|passwd|pass)\b[^\n]*?(?:to|is|=)?\s*:\s*)\S+/gi, '$1[redacted]');

/** Everything that a child said, from the error of a site: what its message holds is only the end. */
export function outputOf(error: unknown): string {
  let said = '';
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { stderr, stdout } = at as { stderr?: unknown; stdout?: unknown };
    said = [stdout, stderr].filter(each => typeof each === 'string' && each !== '').join('\n') || said;
  }
  return withoutPasswords(said || sentence(error));
}

/** The line that names the reason: samba-tool prints a trace behind it, Python before it. */
export function reasonOf(output: string): string {
  const lines = output.split('\n').map(line => line.trim());
  const told = lines.filter(line => line !== '' && !/^WARNING: no network interfaces/.test(line));
  const reason =
    told.find(line => /^ERROR[:(]/.test(line)) ?? told.findLast(line => /^[\w.]*(?:Error|Exception)\b/.test(line)) ?? told.at(-1);
  return (reason ?? 'it said nothing').replace(/^ERROR(?:\([^)]*\))?: (?:uncaught exception - )?/, '');
}

/** Words of samba-tool that help whoever mends it, such as where to get a RID pool. */
const hintsOf = (output: string): string[] =>
  output
    .split('\n')
    .filter(line => /RID (?:Set|pool)/i.test(line) && !/^ERROR/.test(line))
    .map(line => line.replace(/^INFO .*?: /, '').trim());

/**
 * The failure of a tool of Samba as a sentence with the next step.
 * @param what what was done, on what: `online backup of 10.0.0.1`
 * @param from what it was done on: words of a server say something else of files
 * @returns a BkpError('failed'), or the error itself when it is none of a tool
 */
export function explained(what: string, error: unknown, from: 'network' | 'files' = 'network'): unknown {
  if (!(error instanceof BkpError) || error.exit !== 'failed') return error;
  const output = outputOf(error);
  if (/could not be started|gave no answer in|could not be reached/.test(error.message) || /was ended by signal/.test(error.message))
    return new BkpError('failed', `${what}: ${withoutPasswords(error.message)}`, {
      next: /gave no answer/.test(error.message) ? ['`timeouts:` of the entry gives it longer', ...error.next] : error.next,
      cause: error,
    });
  const known = KNOWN.find(({ said, network }) => said.test(output) && !(network && from === 'files'));
  const reason = [reasonOf(output), ...hintsOf(output)].join(' / ');
  return new BkpError('failed', known ? `${what}: ${known.text} (${reason})` : `${what}: ${reason}`, {
    next: known?.next ?? 'bkp doctor samba',
    cause: error,
  });
}
