import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BkpError } from '../../../../src/core/errors.ts';
import { explained, outputOf, reasonOf, withoutPasswords } from '../../../../src/providers/targets/samba/errors.ts';

/** An error as a site gives it: the end of stderr in the message, all of it below. */
const failed = (stderr: string, stdout = ''): BkpError =>
  new BkpError('failed', `samba-tool ended with exit code 255: ${stderr.slice(-40)}`, {
    cause: Object.assign(new Error('child'), { stderr, stdout }),
  });

const trace = (line: string): string =>
  `WARNING: no network interfaces found\n${line}\n  File "/usr/lib/python3/dist-packages/samba/join.py", line 102, in __init__\n    ctx.site = ctx.find_dc_site(ctx.server)\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n`;

/** As samba-tool 4.17 said it. */
const SAID = {
  password:
    'ERROR(ldb): uncaught exception - LDAP error 49 LDAP_INVALID_CREDENTIALS -  <8009030C: LdapErr: DSID-0C0904DC, data 52e, v1db1> <>',
  rights: "ERROR(runtime): uncaught exception - (8453, 'WERR_DS_DRA_ACCESS_DENIED')",
  dead: "ERROR(runtime): uncaught exception - (3221226038, 'The transport-connection attempt was refused by the remote system.')",
  name: "ERROR(runtime): uncaught exception - (3221225524, 'The object name is not found.')",
  conf: 'ERROR(runtime): uncaught exception - Unable to load file /nope/smb.conf',
  machine:
    "ERROR(runtime): uncaught exception - (3221225690, 'Configuration information could not be read from the domain controller, either because the machine is unavailable or access has been denied.')",
  full: "ERROR(<class 'OSError'>): uncaught exception - [Errno 28] No space left on device",
  taken: "ERROR(ldb): uncaught exception - samldb: samAccountName 'PC1$' already in use!",
  site: 'ERROR(ldb): uncaught exception - objectclass: Cannot add CN=NEWDC,CN=Servers,CN=Nowhere,CN=Sites,CN=Configuration,DC=x, parent does not exist!',
};

describe('what samba-tool says', () => {
  it.each([
    ['password', 'does not accept the user or its password'],
    ['rights', 'may not replicate the directory'],
    ['dead', 'no DC answers there'],
    ['name', 'no DC is found under that name'],
    ['conf', 'smb.conf cannot be read'],
    ['machine', 'the machine account of a DC cannot be read'],
    ['full', 'the disk is full'],
    ['taken', 'the domain has an account of that name'],
    ['site', 'the domain has no such site'],
  ] as const)('%s becomes a sentence with a next step', (kind, text) => {
    const error = explained('online backup of dc1', failed(trace(SAID[kind]))) as BkpError;
    expect(error.message).toContain(`online backup of dc1: `);
    expect(error.message).toContain(text);
    expect(error.message).not.toContain('File "');
    expect(error.next.length).toBeGreaterThan(0);
    expect(error.exit).toBe('failed');
  });

  it('words of a server are told as they were said where only files were read', () => {
    const error = explained('it', failed(trace(SAID.name)), 'files') as BkpError;
    expect(error.message).toBe("it: (3221225524, 'The object name is not found.')");
  });

  it('what nobody knows is told as it was said', () => {
    const error = explained('it', failed(trace('ERROR: something new'))) as BkpError;
    expect(error.message).toBe('it: something new');
  });

  it('SA01: the hint how to get a RID pool stays', () => {
    const stdout = 'A SID could not be allocated: no RID Set was found on this DC.\nobtain a RID Set from the RID master\n';
    const error = explained('it', failed('ERROR: Cannot create backup - None', stdout)) as BkpError;
    expect(error.message).toContain('no usable RID pool');
    expect(error.message).toContain('obtain a RID Set from the RID master');
  });

  it('a signal and a time-out are told as they are', () => {
    const killed = new BkpError('failed', 'samba-tool was ended by signal SIGSEGV');
    expect((explained('it', killed) as BkpError).message).toBe('it: samba-tool was ended by signal SIGSEGV');
    const late = explained('it', new BkpError('failed', 'samba-tool gave no answer in 60000 ms')) as BkpError;
    expect(late.next.join()).toContain('timeouts:');
  });

  it('errors of others pass through', () => {
    const other = new BkpError('usage', 'x');
    expect(explained('it', other)).toBe(other);
  });

  it('the last line of Python is the reason where samba-tool did not say ERROR', () => {
    expect(reasonOf('Traceback (most recent call last):\n  File "x"\n_ldb.LdbError: (1, "y")\n')).toBe('_ldb.LdbError: (1, "y")');
  });
});

describe('passwords that were made up', () => {
  it.each(['Setting Administrator password in backup to: Xy7#abc', 'Admin password:        Xy7#abc', 'DNS password is: Xy7#abc'])(
    '%s',
    line => {
      expect(withoutPasswords(line)).not.toContain('Xy7#abc');
      expect(withoutPasswords(line)).toContain('[redacted]');
    },
  );

  it('are in no output that is told', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 6 }).filter(text => /^[!-~]+$/.test(text) && !text.includes('redacted')),
        password => {
          const error = failed(`Setting Administrator password in backup to: ${password}\nERROR: broke`);
          expect(outputOf(error).split('\n')[0]).toBe('Setting Administrator password in backup to: [redacted]');
        },
      ),
    );
  });
});
