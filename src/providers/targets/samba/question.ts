/**
 * What is asked of a domain, for the Python that samba-tool itself runs on: one process instead of ten, each of which loads Samba for half
 * a second. It takes samba-tool's own options (`-s`, `-U`, `-P`; PASSWD_FILE), and `--server` for LDAP and SMB instead of the files. It
 * changes nothing and prints one line of JSON. With `--ticket` the KDC has to give the machine account one first. Python API as in Samba 4.17; what an account is follows samba/netcmd/user.py, computer.py
 * and group.py. Accounts of DCs are left out: a restore takes them away and makes one of its own.
 */
export const QUESTION = `
import json, optparse, os, re
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
parser.add_option('--ticket', action='store_true')
opts, _ = parser.parse_args()
lp = sambaopts.get_loadparm()
remote = opts.server
creds = credopts.get_credentials(lp) if remote else None
url = 'ldap://' + remote if remote else lp.private_path('sam.ldb')
out = {'version': samba.version}
if opts.ticket:
    from samba.credentials import Credentials, MUST_USE_KERBEROS
    krb = Credentials()
    krb.guess(lp)
    krb.set_machine_account(lp)
    krb.set_kerberos_state(MUST_USE_KERBEROS)
    krb.get_named_ccache(lp, os.environ['KRB5CCNAME'])
    out['ticket'] = str(krb.get_principal())
sam = SamDB(url=url, session_info=system_session(), credentials=creds, lp=lp,
            flags=0 if remote else ldb.FLG_DONT_CREATE_DB, options=['modules:paged_searches'] if remote else None)
dom, conf = sam.domain_dn(), str(sam.get_config_basedn())
def find(base, expression, *attrs):
    return sam.search(base=base, scope=ldb.SCOPE_SUBTREE, expression=expression, attrs=list(attrs))
def has(flag):
    return '(userAccountControl:%s:=%u)' % (ldb.OID_COMPARATOR_AND, flag)
def text(message, attr):
    return str(message[attr][0]) if attr in message else None
base = sam.search(base=dom, scope=ldb.SCOPE_BASE, attrs=['objectGUID'])[0]
out['sid'] = str(sam.get_domain_sid())
out['guid'] = sam.schema_format_value('objectGUID', base['objectGUID'][0]).decode()
out['realm'] = sam.domain_dns_name()
out['netbios'] = sam.domain_netbios_name()
servers = find(conf, '(&(objectClass=server)(serverReference=*))', 'cn', 'dNSHostName')
out['dcs'] = [{'name': text(m, 'cn'), 'host': text(m, 'dNSHostName')} for m in servers]
contexts = [str(nc).upper() for nc in sam.search(base='', scope=ldb.SCOPE_BASE, attrs=['namingContexts'])[0]['namingContexts']]
out['dns'] = all(any(nc.startswith(zones) for nc in contexts) for zones in ('DC=DOMAINDNSZONES,', 'DC=FORESTDNSZONES,'))
out['sites'] = sorted(text(m, 'cn') for m in find(conf, '(objectClass=site)', 'cn'))
names = ['dns-' + dc['name'].lower() for dc in out['dcs']]
users = find(dom, '(&(objectClass=user)%s)' % has(512), 'sAMAccountName')
out['users'] = len([m for m in users if (text(m, 'sAMAccountName') or '').lower() not in names])
out['computers'] = len(find(dom, '(&(objectClass=computer)(!%s))' % has(8192), 'cn'))
out['groups'] = len(find(dom, '(objectClass=group)', 'cn'))
out['policies'] = len(find(dom, '(objectClass=groupPolicyContainer)', 'cn'))
try:
    out['rid'] = sam.next_free_rid()
except ldb.LdbError as error:
    out['rid'], out['ridError'] = None, str(error.args[1])
sysvol = lp.get('path', 'sysvol')
policy = re.compile(r'[\\\\\\\\/]Policies[\\\\\\\\/]\\{[0-9A-Fa-f-]{36}\\}$')
count = {'files': 0, 'policies': 0, 'denied': [], 'links': []}
def enter(path):
    count['policies'] += bool(policy.search(path))
def local():
    denied = lambda error: count['denied'].append(os.path.relpath(error.filename, sysvol))
    if not os.path.isdir(sysvol or ''):
        raise OSError('there is no directory %s' % sysvol)
    for path, folders, files in os.walk(sysvol, onerror=denied):
        enter(path)
        for name in (os.path.join(path, each) for each in folders + files):
            if os.path.islink(name) or not (os.path.isfile(name) or os.path.isdir(name)):
                count['links'].append(os.path.relpath(name, sysvol))
        count['files'] += len(files)
def shared():
    from samba.samba3 import libsmb_samba_internal as libsmb, param as s3param
    from samba.credentials import SMB_SIGNING_REQUIRED
    s3 = s3param.get_context()
    s3.load(lp.configfile)
    creds.set_smb_signing(SMB_SIGNING_REQUIRED)
    conn = libsmb.Conn(remote, 'sysvol', lp=s3, creds=creds)
    todo = ['']
    while todo:
        path = todo.pop()
        enter('\\\\' + path)
        try:
            entries = conn.list(path, attribs=0x16)
        except samba.NTSTATUSError as error:
            count['denied'].append(path + ': ' + str(error.args[1]))
            continue
        for entry in entries:
            if entry['attrib'] & 0x10:
                todo.append(path + '\\\\' + entry['name'] if path else entry['name'])
            else:
                count['files'] += 1
try:
    shared() if remote else local()
    out['sysvol'] = count
except (OSError, samba.NTSTATUSError, RuntimeError) as error:
    out['sysvol'], out['sysvolError'] = None, str(error.args[-1])
out['paths'] = {'private': lp.get('private dir'), 'state': lp.get('state directory'), 'binddns': lp.get('binddns dir'),
                'smbConf': lp.configfile, 'sysvol': sysvol}
def included(path, seen):
    with open(path, errors='surrogateescape') as conf:
        for line in conf:
            found = re.match(r'\\s*include\\s*=\\s*(/[^%]*?)\\s*$', line, re.I)
            if found and found.group(1) not in seen and os.path.isfile(found.group(1)):
                seen.append(found.group(1))
                included(found.group(1), seen)
    return seen
if not remote:
    roots = [os.path.dirname(lp.configfile), lp.get('private dir'), lp.get('state directory')]
    out['includes'] = [path for path in included(lp.configfile, []) if not any(path.startswith(root + '/') for root in roots)]
    backend = sam.search(base='@PARTITION', scope=ldb.SCOPE_BASE, attrs=['backendStore'])[0]
    out['lmdb'] = text(backend, 'backendStore') == 'mdb'
if remote:
    me = sam.search(base='', scope=ldb.SCOPE_BASE, attrs=['tokenGroups'])[0]
    groups = [sam.schema_format_value('tokenGroups', sid).decode() for sid in me.get('tokenGroups', [])]
    out['admin'] = any(sid.endswith(('-512', '-519', '-516')) or sid in ('S-1-5-32-544', 'S-1-5-9') for sid in groups)
out['name'] = lp.get('netbios name')
print(json.dumps(out))
`;
