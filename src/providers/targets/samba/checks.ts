import * as z from 'zod';
import { checkName, checksOf, expectation, judgeFound } from '../../../core/config/checks.ts';
import type { Trial } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';

/** The checks of an entry. */
export const checks = checksOf(
  z.strictObject({
    ...expectation,
    ldap: z.string().min(1).describe('filter of a search whose results are counted, such as (memberOf=CN=staff,DC=example,DC=org)'),
    base: z.string().min(1).optional().describe('where the search begins; default: the domain'),
  }),
);

export type Check = z.infer<typeof checks>[number];

/** What a check is called. */
export const nameOf = (check: Check): string => checkName(check, check.ldap);

/**
 * For the Python that samba-tool runs on, beside a started copy: counts what searches over LDAP find, then writes a unit into the copy's
 * own files, finds it over LDAP and takes it away again. It prints one line of JSON (Python API as in Samba 4.17).
 */
export const EXERCISE = `
import json, optparse
import ldb, samba
import samba.getopt as options
from samba.auth import system_session
from samba.samdb import SamDB
parser = optparse.OptionParser()
sambaopts = options.SambaOptions(parser)
credopts = options.CredentialsOptions(parser)
parser.add_option_group(sambaopts)
parser.add_option_group(credopts)
parser.add_option('--server')
parser.add_option('--search', action='append', default=[])
parser.add_option('--unit')
opts, _ = parser.parse_args()
lp = sambaopts.get_loadparm()
sam = SamDB(url='ldap://' + opts.server, session_info=system_session(), credentials=credopts.get_credentials(lp), lp=lp,
            options=['modules:paged_searches'])
out = {'found': []}
for search in opts.search:
    base, expression = json.loads(search)
    try:
        found = sam.search(base=base or sam.domain_dn(), scope=ldb.SCOPE_SUBTREE, expression=expression, attrs=['1.1'])
        out['found'].append(len(found))
    except ldb.LdbError as error:
        out['found'].append(str(error.args[1]))
own = SamDB(url=lp.private_path('sam.ldb'), session_info=system_session(), lp=lp, flags=ldb.FLG_DONT_CREATE_DB)
dn = 'OU=%s,%s' % (opts.unit, own.domain_dn())
try:
    own.add({'dn': dn, 'objectClass': 'organizationalUnit'})
    out['read'] = len(sam.search(base=dn, scope=ldb.SCOPE_BASE, attrs=['ou']))
    own.delete(dn)
except ldb.LdbError as error:
    out['error'] = str(error.args[1])
print(json.dumps(out))
`;

const shape = z.object({ found: z.array(z.union([z.number(), z.string()])), read: z.number().optional(), error: z.string().optional() });

/** Arguments of the script beyond those that reach the copy. */
export const exerciseArgs = (all: readonly Check[], unit: string): string[] => [
  ...all.flatMap(({ base, ldap }) => ['--search', JSON.stringify([base ?? null, ldap])]),
  ...['--unit', unit],
];

/** What the script found, one trial for each check and one for the write. @throws BkpError('failed') where it says nothing */
export function judgeExercise(all: readonly Check[], stdout: string): Trial[] {
  const line = stdout.trim().split('\n').at(-1) ?? '';
  let said: z.infer<typeof shape>;
  try {
    said = shape.parse(JSON.parse(line));
  } catch (error) {
    throw new BkpError('failed', `what was tried on the domain cannot be read: ${line.slice(0, 200) || 'nothing'}`, { cause: error });
  }
  const told = all.map((check, n): Trial => {
    const found = said.found[n];
    const name = nameOf(check);
    return typeof found === 'number'
      ? { name, ...judgeFound(String(found), check) }
      : { name, state: 'fail', text: found ?? 'it was not asked' };
  });
  const write: Trial =
    said.read === 1 && said.error === undefined
      ? { name: 'write', state: 'ok', text: 'an organizational unit was made, found over LDAP and deleted' }
      : { name: 'write', state: 'fail', text: said.error ?? 'an organizational unit was made, and LDAP does not show it' };
  return [...told, write];
}
