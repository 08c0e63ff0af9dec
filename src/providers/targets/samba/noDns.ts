import type { Contents } from './members.ts';

/**
 * samba-tool's restore takes over the roles of the DNS partitions also of a domain that has none, provisioned with `--dns-backend=NONE` or
 * BIND9_FLATFILE, and ends there: "The 'domaindns' role is not present in this domain" (4.17). For the Python that samba-tool runs on: it
 * leaves those two steps out and is samba-tool otherwise, whose path is the first argument.
 */
export const WITHOUT_DNS = `
import runpy, sys
import ldb
from samba.netcmd.fsmo import cmd_fsmo_seize
seize = cmd_fsmo_seize.seize_dns_role
def seize_held(self, role, samdb, *rest, **named):
    root = samdb.search(base='', scope=ldb.SCOPE_BASE, attrs=['namingContexts'])[0]
    zones = {'domaindns': 'DC=DOMAINDNSZONES,', 'forestdns': 'DC=FORESTDNSZONES,'}[role]
    if any(str(nc).upper().startswith(zones) for nc in root['namingContexts']):
        return seize(self, role, samdb, *rest, **named)
cmd_fsmo_seize.seize_dns_role = seize_held
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
`;

/** Whether an archive has both partitions in which Samba keeps DNS. */
export const hasDns = ({ members }: Pick<Contents, 'members'>): boolean =>
  ['DOMAINDNSZONES', 'FORESTDNSZONES'].every(zones =>
    [...members.keys()].some(name => new RegExp(`^private/sam\\.ldb\\.d/DC(?:=|%3D)${zones}(?:,|%2C)`, 'i').test(name)),
  );

/** What is told of a domain whose DNS is kept elsewhere. */
export const NO_DNS = 'the zones of its DNS, which are in no partition of the domain';
