import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';
import { lastJson, type Yaml } from './change.ts';
import { resigned } from './drillRig.ts';
import { HARMS, harmed } from './harm.ts';
import { cleanUp, makeKeys, tempDir, waitFor } from './rig/index.ts';
import { ADMIN_PASSWORD, Domain, provision, stubTool } from './rig/samba.ts';
import { commandLines, filesIn, pathWith } from './stub.ts';

const USER1 = 'Us3r1Pass.x';

let dc: Domain;
let keys: Record<string, unknown>;
let keysDir: string;
let temp: string;
const started: Domain[] = [];

beforeAll(async () => {
  dc = await provision();
  dc.tool('user', 'create', 'user1', USER1, '-H', dc.sam);
  dc.tool('group', 'add', 'staff', '-H', dc.sam);
  dc.tool('computer', 'create', 'pc1', '-H', dc.sam);
  started.push(dc);
  await dc.start();
  keysDir = join(tempDir(), 'keys');
  keys = await makeKeys(keysDir);
  temp = tempDir();
});

const running = (what: RegExp): string[] => commandLines(path => readFileSync(path, 'utf8')).filter(line => what.test(line));

afterAll(async () => {
  for (const domain of started) await domain.stop();
  expect(running(/samba -i /).filter(line => started.some(({ dir }) => line.includes(dir)))).toEqual([]);
  await cleanUp();
});

/** Whatever happened: nothing of a run is left, here and beside the files of the DC. */
afterEach(() => {
  expect(readdirSync(temp)).toEqual([]);
  expect(filesIn(dc.dir).filter(path => path.endsWith('.bak-offline'))).toEqual([]);
});

interface At {
  store: string;
  config: string;
}

function setUp(entry: Record<string, unknown> = {}, like?: At): At {
  const store = like?.store ?? tempDir();
  const config = join(tempDir(), 'bkp.yaml');
  const samba = { ad: { smbConf: dc.conf, dbcheck: false, ...entry } };
  const environments = { production: { stores: { local: { type: 'directory', path: store } }, samba } };
  writeFileSync(config, stringify({ keys, environments }, { lineWidth: 0 }));
  return { store, config };
}

const bkp = (at: At, args: readonly string[], env: Record<string, string> = {}) => dc.runBkp(args, { config: at.config, temp, env });

const offline = { mode: 'offline' };
/** As from a host that is no DC: with the smb.conf of its own. */
const online = { mode: 'online', smbConf: undefined, server: '127.0.0.1', user: 'Administrator', password: '${AD_PASSWORD}' };
const asAdmin = { AD_PASSWORD: ADMIN_PASSWORD };

async function backedUp(at: At, env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await bkp(at, ['backup', 'samba', '--json'], env);
  if (code !== 0 && code !== 3) throw new Error(`bkp backup ended with ${code}: ${stderr}${stdout}`);
  const [result] = lastJson(stdout)['backups'] as Yaml[];
  const path = filesIn(at.store).find(each => each.endsWith(`${result!['id']}/manifest.json`))!;
  return {
    code,
    stdout,
    stderr,
    id: result!['id'] as string,
    warnings: result!['warnings'] as string[],
    manifest: manifestOf(join(at.store, path)),
  };
}

/** The first line is what is signed. */
const manifestOf = (path: string): Yaml => JSON.parse(readFileSync(path, 'utf8').split('\n')[0]!) as Yaml;

/** No backup, and no piece of one. */
const stored = (at: At): string[] => filesIn(at.store).filter(path => path.includes('/backups/'));

/** Of the DC, in its sysvol. */
const policy = (): string => join(dc.dir, 'state/sysvol/ad.example.test/Policies/{31B2F340-016D-11D2-945F-00C04FB984F9}');

const restoreArgs = (to: string, ...more: string[]) => ['restore', 'samba', 'ad', '--latest', '--yes', '--to', to, ...more];
const aPlace = () => join(tempDir(), 'domain');

describe('from the files of the DC', () => {
  let at: At;
  let id: string;
  const archives = (): string[] => filesIn(at.store).filter(path => /backups\/.*\.000$/.test(path));

  it('takes all that a domain is, with what is in it counted, and names nobody', async () => {
    at = setUp({ ...offline, dbcheck: true });
    const { code, manifest, id: made } = await backedUp(at);
    id = made;
    expect(code).toBe(0);
    expect(manifest['identity']).toMatchObject({
      realm: 'ad.example.test',
      netbios: 'ADTEST',
      domainSid: expect.stringMatching(/^S-1-5-21-/),
    });
    expect(manifest['baseline']).toMatchObject({
      mode: 'offline',
      dcs: [{ name: 'DC1', host: 'dc1.ad.example.test' }],
      sites: ['Default-First-Site-Name'],
      after: { users: 4, computers: 1 },
      sysvol: { files: 2, policies: 2 },
      dbcheckErrors: 0,
    });
    expect(JSON.stringify(manifest)).not.toContain('user1');
    expect(manifest['warnings']).toEqual([]);
    expect(manifest['versions']['server']).toMatch(/^4\./);
  });

  it.each([
    ['without a name', [], 2, '--server-name NEWDC'],
    ['by a name that Samba would cut', ['--server-name', 'a-dc-of-16-chars'], 2, 'is no name for a DC'],
    ['by the name of the DC', ['--server-name', 'Dc1'], 4, 'needs a new name'],
    ['by the name of the domain', ['--server-name', 'adtest'], 4, 'domain itself'],
    ['into a site that the domain has not', ['--server-name', 'newdc', '--site', 'Nowhere'], 4, 'no site Nowhere'],
    ['at no address', ['--server-name', 'newdc', '--host-ip', 'here'], 2, 'no IPv4 address'],
    ['for another owner', ['--server-name', 'newdc', '--owner', 'nobody'], 2, 'says nothing to samba'],
  ])('SA10: a restore %s is refused before anything changes', async (_, flags, expected, said) => {
    const to = aPlace();
    const { code, stderr } = await bkp(at, restoreArgs(to, ...flags));
    expect({ code, said: stderr.includes(said) ? said : stderr }).toEqual({ code: expected, said });
    expect(existsSync(to)).toBe(false);
  });

  it.each([
    ['a %', '%m', 'begins a substitution in smb.conf'],
    ['a line break', '\n', 'ends a setting of smb.conf'],
  ])('a place with %s is refused before anything changes', async (_, mark, said) => {
    const parent = tempDir();
    const { code, stderr } = await bkp(at, restoreArgs(join(parent, `a${mark}b`), '--server-name', 'newdc'));
    expect({ code, said: stderr.includes(said) ? said : stderr }).toEqual({ code: 2, said });
    expect(readdirSync(parent)).toEqual([]);
  });

  it('SA10: a restore is refused while a DC answers, forced or not', async () => {
    const beside = setUp({ ...offline, server: '127.0.0.1' }, at);
    const to = aPlace();
    for (const flags of [[], ['--force']]) {
      const { code, stderr } = await bkp(beside, restoreArgs(to, '--server-name', 'newdc', ...flags));
      expect(code).toBe(4);
      expect(stderr).toContain('still answers at 127.0.0.1 (Kerberos, LDAP, SMB)');
      expect(stderr).toContain('--beside-live-dc');
    }
    expect(existsSync(to)).toBe(false);
  });

  it('SA10: a place that is not empty is refused, moved aside when forced, and never while samba runs on it', async () => {
    const to = tempDir();
    writeFileSync(join(to, 'precious'), 'x');
    const refused = await bkp(at, restoreArgs(to, '--server-name', 'newdc'));
    expect(refused.code).toBe(4);
    expect(readdirSync(to)).toEqual(['precious']);
    const live = await bkp(at, restoreArgs(dc.dir, '--server-name', 'newdc', '--force'));
    expect(live.stderr).toContain('in use by process');
    expect(live.code).toBe(4);
    expect(existsSync(dc.sam)).toBe(true);
  });

  it('a dry run shows the plan and changes nothing', async () => {
    const to = aPlace();
    const { code, stdout, stderr } = await bkp(at, [...restoreArgs(to, '--server-name', 'newdc'), '--dry-run']);
    expect(code).toBe(0);
    expect(stdout + stderr).toContain('comes back on one new DC, newdc; its DCs DC1 are taken out of it');
    expect(existsSync(to)).toBe(false);
  });

  it('SA07: a restored domain is checked, starts, and takes the old passwords over LDAP and SMB', async () => {
    const to = aPlace();
    const { code, stdout, stderr } = await bkp(at, restoreArgs(to, '--server-name', 'newdc', '--host-ip', '127.0.0.1', '--json'));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const result = lastJson(stdout);
    expect(result['facts']).toMatchObject({ backup: id, serverName: 'newdc', domain: 'ad.example.test' });
    const next = (result['next'] as string[]).join('\n');
    for (const text of [`samba -D -s ${join(to, 'etc/smb.conf')}`, 'never start DC1 again', 'samba_dnsupdate', 'hostnamectl'])
      expect(next).toContain(text);
    expect(readdirSync(to)).not.toContain('BKP_RESTORE_INCOMPLETE');
    const restored = new Domain(to);
    started.push(restored);
    await restored.start();
    const who = ['-U', `user1%${USER1}`];
    const ldap = await restored.beside('ldbsearch', ['-H', 'ldap://127.0.0.1', ...who, '(samaccountname=user1)', 'objectSid']);
    expect(ldap.stdout).toContain('objectSid: S-1-5-21-');
    const smb = await restored.beside('smbclient', [...who, '//127.0.0.1/sysvol', '-c', 'ls ad.example.test/Policies/*']);
    expect(smb.stdout).toContain('{31B2F340-016D-11D2-945F-00C04FB984F9}');
    await restored.stop();
  });

  it.each(Object.keys(HARMS))('the archive %s: verify names it, and a restore ends by name with no domain left', async how => {
    while (archives().length < 2) await backedUp(at);
    const [other, archive] = archives().slice(-2) as [string, string];
    await harmed(HARMS[how]!, join(at.store, archive), join(at.store, other), async () => {
      const checked = await bkp(at, ['verify', 'samba', '--deep', '--no-proof', '--json']);
      expect({ code: checked.code, said: checked.stdout.includes(archive) ? archive : checked.stdout }).toEqual({ code: 9, said: archive });
      const to = aPlace();
      const { code, stderr } = await bkp(at, restoreArgs(to, '--server-name', 'newdc'));
      expect(code).not.toBe(0);
      expect(stderr).toContain(archive);
      expect(existsSync(to)).toBe(false);
    });
  });

  it('a restore on a full disk says so, and leaves nothing but what was there', async () => {
    const small = tempDir();
    const to = join(small, 'domain');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'none', small]);
    try {
      const before = await bkp(at, restoreArgs(to, '--server-name', 'newdc'));
      expect(before.code).toBe(4);
      expect(before.stderr).toContain('bytes free');
      expect(readdirSync(small)).toEqual([]);
    } finally {
      execFileSync('umount', [small]);
    }
  });

  it('a restore that samba-tool breaks off leaves no half-filled directory, and what was there aside', async () => {
    const to = tempDir();
    writeFileSync(join(to, 'precious'), 'x');
    const bin = stubTool(`
if argv[:3] == ['domain', 'backup', 'restore']:
    os.makedirs(target + '/private')
    open(target + '/private/half', 'w').write('x')
    sys.stderr.write('ERROR(ldb): uncaught exception - something broke\\n')
    sys.exit(255)`);
    const broken = setUp({ ...offline, bin: [bin] }, at);
    const { code, stderr } = await bkp(broken, restoreArgs(to, '--server-name', 'newdc', '--force'));
    expect(code).toBe(1);
    expect(stderr).toContain('something broke');
    const aside = /what was there before is in (\S+)/.exec(stderr)?.[1] ?? '';
    expect(readdirSync(aside)).toEqual(['precious']);
    expect(existsSync(to)).toBe(false);
    rmSync(aside, { recursive: true });
  });

  it('the name of a computer of the domain, which no manifest tells, is told by a restore that leaves nothing', async () => {
    const to = aPlace();
    const { code, stderr } = await bkp(at, restoreArgs(to, '--server-name', 'pc1'));
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('the domain has an account of that name') });
    expect(existsSync(to)).toBe(false);
  });

  it('a restored domain that is not what was backed up stays where it is, marked, and is no success', async () => {
    const to = aPlace();
    const bin = stubTool(`
if argv[0] == 'dbcheck':
    print('ERROR: missing GUID component for member in object CN=staff')
    print('Checked 3628 objects (7 errors)')
    sys.exit(1)`);
    const { code, stderr } = await bkp(setUp({ ...offline, bin: [bin] }, at), restoreArgs(to, '--server-name', 'newdc'));
    expect(code).toBe(9);
    expect(stderr).toContain('(dbcheck) 7 error(s) in 3628 objects, the first: ERROR: missing GUID component');
    expect(readdirSync(to)).toEqual(expect.arrayContaining(['private', 'BKP_RESTORE_INCOMPLETE']));
  });

  it('SIGTERM in the middle of a restore leaves nothing', async () => {
    const to = aPlace();
    const child = dc.startBkp(restoreArgs(to, '--server-name', 'newdc'), { config: at.config, temp });
    await waitFor(() => existsSync(join(to, 'private')), 'the restore');
    await waitFor(() => existsSync(join(to, 'BKP_RESTORE_INCOMPLETE')), 'the mark');
    child.kill('SIGTERM');
    expect((await child.ended).code).toBe(143);
    expect(existsSync(to)).toBe(false);
    expect(running(/samba-tool/).filter(line => line.includes(to))).toEqual([]);
  });

  it('SA12: SIGTERM in the middle of a backup uploads nothing and sweeps the copies of samba-tool', async () => {
    const other = setUp(offline);
    const child = dc.startBkp(['backup', 'samba'], { config: other.config, temp });
    await waitFor(() => filesIn(dc.dir).some(path => path.endsWith('.bak-offline')), 'the copies');
    child.kill('SIGTERM');
    expect((await child.ended).code).toBe(143);
    expect(filesIn(other.store)).toEqual([]);
  });

  it('SA03: hard links across directories are told, and every file is whole in the backup', async () => {
    const own = join(dc.dir, 'private/sam.ldb.d');
    const linked = readdirSync(own).filter(name => /DNSZONES|metadata/.test(name));
    const dns = join(dc.dir, 'state/bind-dns');
    mkdirSync(dns);
    for (const name of linked) linkSync(join(own, name), join(dns, name));
    try {
      const other = setUp(offline);
      const { stdout } = await bkp(other, ['doctor', 'samba', '--json']);
      expect(stdout).toContain('samba_upgradedns');
      const { code, manifest, warnings } = await backedUp(other);
      expect({ code, warnings }).toMatchObject({ code: 0 });
      expect(manifest['baseline']['hardLinks']).toEqual(linked.map(name => `sam.ldb.d/${name}`).sort());
      const to = aPlace();
      const restored = await bkp(other, restoreArgs(to, '--server-name', 'newdc'));
      expect({ code: restored.code, stderr: restored.code === 0 ? '' : restored.stderr }).toEqual({ code: 0, stderr: '' });
      expect(restored.stdout).toContain('samba_upgradedns --dns-backend=BIND9_DLZ');
    } finally {
      rmSync(dns, { recursive: true });
    }
  });
});

describe('a clone over the network', () => {
  let at: At;

  it('CF01 CF04: as an account, whose password is in no argument and no output', async () => {
    at = setUp(online);
    const child = dc.startBkp(['backup', 'samba', '--verbose'], { config: at.config, temp, env: asAdmin });
    const seen = await waitFor(() => running(/domain backup online/)[0], 'samba-tool');
    expect(seen).toContain('-U Administrator');
    expect(seen).not.toContain(ADMIN_PASSWORD);
    const { code, stdout, stderr } = await child.ended;
    expect({ code, stderr: stderr.includes(ADMIN_PASSWORD), stdout: stdout.includes(ADMIN_PASSWORD) }).toEqual({
      code: 0,
      stderr: false,
      stdout: false,
    });
  });

  it('a user with the password behind a % is a fault of the config, which does not show it', async () => {
    const AD_USER = `Administrator%${ADMIN_PASSWORD}`;
    for (const [user, said] of [
      [AD_USER, /bkp\.yaml:\d+:\d+: .*user.* has a %, behind which Samba reads a password/],
      ['${AD_USER}', /the user of samba\/ad has a %, behind which Samba reads a password/],
    ] as const) {
      const wrong = setUp({ ...online, user });
      const { code, stdout, stderr } = await bkp(wrong, ['backup', 'samba'], { ...asAdmin, AD_USER });
      expect({ code, said: said.test(stderr) ? said : stderr }).toEqual({ code: 2, said });
      expect(stored(wrong)).toEqual([]);
      expect(stdout + stderr).not.toContain(ADMIN_PASSWORD);
    }
  });

  it('SA07: is proven by a restore, dbcheck, what was counted, a ticket, LDAP and SMB, and nothing is left of it', async () => {
    const { code, stdout } = await bkp(at, ['verify', 'samba', '--deep', '--json']);
    const [store] = lastJson(stdout)['stores'] as Yaml[];
    const checks = (store!['proof']['checks'] as Yaml[]).filter(({ state }) => state !== 'note');
    expect(checks.map(({ name, state }) => `${name} ${state}`)).toEqual(
      ['unpack', 'dbcheck', 'identity', 'baseline', 'sysvol', 'paths', 'samba', 'ticket', 'ldap', 'smb', 'write'].map(name => `${name} ok`),
    );
    expect(checks.find(({ name }) => name === 'ticket')?.['text']).toContain('BKPPROOF$');
    expect(code).toBe(0);
    expect(running(/samba/).filter(line => line.includes(temp))).toEqual([]);
  });

  it('its SMB may come later than its LDAP', async () => {
    const conf = readFileSync(dc.conf, 'utf8');
    const tries = join(tempDir(), 'tries');
    const refusing = `sh -c 'echo try >> ${tries}; test "$(wc -l < ${tries})" -gt 2'`;
    writeFileSync(dc.conf, conf.replace('[sysvol]', `$&\n\troot preexec = ${refusing}\n\troot preexec close = yes`));
    const late = setUp(offline);
    await backedUp(late).finally(() => writeFileSync(dc.conf, conf));
    const { code, stdout } = await bkp(late, ['verify', 'samba', '--deep', '--json']);
    const [store] = lastJson(stdout)['stores'] as Yaml[];
    expect({ code, failed: (store!['proof']['checks'] as Yaml[]).filter(({ state }) => state === 'fail') }).toEqual({
      code: 0,
      failed: [],
    });
    expect(readFileSync(tries, 'utf8')).toMatch(/^(try\n){3}/);
  });

  it('a drill asks the copy what the config wants to know, and names what does not come back', async () => {
    const [, id = ''] = /backups\/([^/]+)\/manifest\.json/.exec(filesIn(at.store).join('\n')) ?? [];
    resigned(at.store, keysDir, id, ({ baseline }) => {
      const { before, after, sysvol, ...rest } = structuredClone(baseline) as Yaml;
      for (const counted of [before, after]) counted.users += 5;
      return { baseline: { ...rest, before, after, sysvol: { ...sysvol, files: sysvol.files + 1 } } };
    });
    const checks = [
      { ldap: '(sAMAccountName=user1)', expect: 1 },
      { name: 'groups', ldap: '(cn=staff)', base: 'CN=Users,DC=ad,DC=example,DC=test', atLeast: 1 },
      { name: 'nobody', ldap: '(sAMAccountName=nobody)', atLeast: 1 },
      { name: 'nowhere', ldap: '(cn=*)', base: 'OU=nowhere,DC=ad,DC=example,DC=test', atLeast: 1 },
    ];
    const { code, stdout } = await bkp(setUp({ ...online, checks }, at), ['drill', 'samba', '--json']);
    const [target] = lastJson(stdout)['drill'].targets as Yaml[];
    const named = (state: string) => (target!['checks'] as Yaml[]).filter(each => each['state'] === state).map(({ name }) => name);
    expect({ code, failed: named('fail').sort() }).toEqual({
      code: 9,
      failed: ['baseline', 'check: nobody', 'check: nowhere', 'ldap', 'smb', 'sysvol'],
    });
    expect(named('ok')).toEqual(expect.arrayContaining(['ticket', 'check: (sAMAccountName=user1)', 'check: groups', 'write']));
    expect(JSON.stringify(target!['checks'])).toMatch(/4 users, and 9 were counted/);
    const { fetch, restore, start, prove } = target!['phases'];
    expect(Math.min(fetch, restore, start, prove)).toBeGreaterThan(0);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('%s while the copy runs leaves no samba', async signal => {
    const child = dc.startBkp(['verify', 'samba', '--deep'], { config: at.config, temp });
    const copies = () => running(/samba -i /).filter(line => line.includes(temp));
    await waitFor(() => copies().length > 0, 'samba on the copy');
    child.kill(signal);
    const { code } = await child.ended;
    if (signal === 'SIGTERM') expect({ code, copies: copies(), left: readdirSync(temp) }).toEqual({ code: 143, copies: [], left: [] });
    // Nobody is left to remove the directory; samba sees that it is alone.
    await waitFor(() => copies().length === 0, 'the end of samba');
    for (const name of readdirSync(temp)) rmSync(join(temp, name), { recursive: true });
  });

  it('SA06: as the DC itself it lacks the permissions of sysvol, and is told to be degraded', async () => {
    const machine = setUp({ mode: 'online', server: '127.0.0.1' });
    const { code, warnings } = await backedUp(machine);
    expect(code).toBe(3);
    expect(warnings.join('\n')).toMatch(/permissions of \d+ files and directories of sysvol are missing/);
    const status = await bkp(machine, ['status', '--json']);
    expect(status.code).toBe(10);
    expect(status.stdout).toContain('the last backup run failed');
  });

  it.each([
    ['a wrong password', { AD_PASSWORD: 'wrong-password-1' }, {}, 'does not accept the user or its password'],
    ['an account without rights', { AD_PASSWORD: USER1 }, { user: 'user1' }, 'may not replicate the directory'],
    ['a dead host', asAdmin, { server: '127.0.0.9' }, 'no DC answers there'],
  ])('%s is a sentence with the next step, and stores nothing', async (_, env, change, said) => {
    const wrong = setUp({ ...online, ...change });
    const { code, stdout, stderr } = await bkp(wrong, ['backup', 'samba'], env);
    expect({ code, said: stderr.includes(said) ? said : stderr }).toEqual({ code: 1, said });
    expect(stderr).toContain('→');
    expect(stdout + stderr).not.toContain('Traceback');
    expect(stdout + stderr).not.toContain(env.AD_PASSWORD);
    expect(stored(wrong)).toEqual([]);
  });

  it('doctor says what is right and what an account lacks', async () => {
    const good = await bkp(at, ['doctor', 'samba', '--json'], asAdmin);
    expect(good.stdout).toContain('may replicate everything');
    expect(good.stdout).toContain('the next RID is');
    const poor = await bkp(setUp({ ...online, user: 'user1' }), ['doctor', 'samba'], { AD_PASSWORD: USER1 });
    expect(poor.stdout + poor.stderr).toContain('samba-tool group addmembers');
  });
});

describe('what samba-tool does not do right', () => {
  const failing = async (script: string, change: Record<string, unknown> = {}) => {
    const at = setUp({ ...offline, bin: [stubTool(script, dc)], ...change });
    const { code, stdout, stderr } = await bkp(at, ['backup', 'samba']);
    return { at, code, text: stdout + stderr };
  };

  it('SA01: without a RID pool the hint is kept, and nothing is uploaded', async () => {
    const { at, code, text } = await failing(`
if backup:
    print('A SID could not be allocated for restoring the domain. Either no RID Set was found on this DC, or the RID Set was not usable.')
    print("To initialise this DC's RID pools, obtain a RID Set from this domain's RID master, or run samba-tool dbcheck to fix the existing RID Set.")
    sys.stderr.write('ERROR: Cannot create backup - None\\n')
    sys.exit(255)`);
    expect(code).toBe(1);
    expect(text).toContain('no usable RID pool');
    expect(text).toContain("obtain a RID Set from this domain's RID master");
    expect(stored(at)).toEqual([]);
  });

  it('SA04: a crash midway fails with the version, and its files are gone', async () => {
    const { at, code, text } = await failing(`
if backup:
    os.makedirs(target + '/INCOMPLETEsambabackupfile1')
    open(target + '/INCOMPLETEsambabackupfile1/samba-backup.tar.bz2', 'wb').write(b'BZh9')
    os.kill(os.getpid(), 11)`);
    expect(code).toBe(1);
    expect(text).toMatch(/samba-tool 4\.\d+/);
    expect(text).toContain('SIGSEGV');
    expect(stored(at)).toEqual([]);
  });

  it('SA06: a denial on sysvol with exit code 0 is degraded, and the counts are compared', async () => {
    const script = `
if backup:
    archive(policies=1)
    sys.stderr.write('ERROR 2026-01-15 02:00:00,000 pid:1 /x/ntacls.py #540: Failed to read ad.example.test: NT_STATUS_ACCESS_DENIED\\n')
    sys.exit(0)`;
    const at = setUp({ ...offline, bin: [stubTool(script, dc)] });
    const { code, warnings } = await backedUp(at);
    expect(code).toBe(3);
    expect(warnings.join('\n')).toContain('NT_STATUS_ACCESS_DENIED');
    expect(warnings.join('\n')).toContain('sysvol has 1 files in the backup, and 2 on the DC');
    expect(warnings.join('\n')).toContain('sysvol has 1 policies in the backup, and 2 on the DC');
  });

  it.each([
    'private/secrets.ldb',
    'private/secrets.keytab',
    'sysvol.tar.gz',
    'backup.txt',
    'etc/smb.conf',
    'encrypted_secrets.key',
    'DC=TEST.ldb',
  ])('SA11: an archive without %s is no backup', async name => {
    const { at, code, text } = await failing(`
if backup:
    archive(without=['${name}'])
    sys.exit(0)`);
    expect({ code, text }).toEqual({ code: 1, text: expect.stringContaining('the backup lacks') });
    expect(stored(at)).toEqual([]);
  });

  it('an archive that is cut short, and none at all, are no backups', async () => {
    const cut = await failing(`
if backup:
    import glob
    archive()
    path = glob.glob(target + '/samba-backup-*')[0]
    os.truncate(path, os.path.getsize(path) - 200)
    sys.exit(0)`);
    expect(cut.code).toBe(1);
    expect(stored(cut.at)).toEqual([]);
    const none = await failing('if backup: sys.exit(0)');
    expect(none.code).toBe(1);
    expect(none.text).toContain('left nothing where one archive was to be');
    expect(stored(none.at)).toEqual([]);
  });

  it.each([
    ['a link to a file', () => symlinkSync('GPT.INI', join(policy(), 'link')), ['link']],
    ['a link to a directory', () => symlinkSync('MACHINE', join(policy(), 'link')), ['link']],
    ['a link to nothing', () => symlinkSync('nowhere', join(policy(), 'link')), ['link']],
    ['a pipe', () => execFileSync('mkfifo', [join(policy(), 'link')]), ['link']],
  ])('%s in sysvol is named with its place, by doctor too, before the copy begins', async (_, make, [name = '']) => {
    const place = join(policy(), name);
    make();
    try {
      const at = setUp(offline);
      const { code, stderr } = await bkp(at, ['backup', 'samba']);
      expect({ code, stderr }).toMatchObject({ code: 1 });
      expect(stderr).toContain(`the first: ${place.slice(place.indexOf('ad.example.test/'))}`);
      expect(stderr).toContain('! -type f ! -type d');
      expect(stderr).not.toMatch(/no DC is found|start +samba-tool domain backup/);
      expect(stored(at)).toEqual([]);
      const { stdout } = await bkp(at, ['doctor', 'samba', '--json']);
      expect(stdout).toContain('no offline backup comes about');
    } finally {
      rmSync(place);
    }
  });

  it('a link that comes into sysvol while it is copied is told as such', async () => {
    const place = join(policy(), 'late');
    const bin = stubTool(`if backup: os.symlink('nowhere', '${place}')`);
    try {
      const at = setUp({ ...offline, bin: [bin] });
      const { code, stderr } = await bkp(at, ['backup', 'samba']);
      expect(code).toBe(1);
      expect(stderr).toContain('something in sysvol cannot be read');
      expect(stderr).not.toContain('no DC is found');
    } finally {
      rmSync(place);
    }
  });

  it('a name that is not in UTF-8 in sysvol is told as such, with what finds it', async () => {
    const scripts = join(dc.dir, 'state/sysvol/ad.example.test/scripts');
    const place = Buffer.concat([Buffer.from(`${scripts}/l`), Buffer.from([0xe4]), Buffer.from('tin.bat')]);
    writeFileSync(place, 'x');
    try {
      const at = setUp(offline);
      const { code, stderr } = await bkp(at, ['backup', 'samba']);
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('a name in sysvol is not in UTF-8') });
      const [, filter = ''] = /find \S+ \| (LC_ALL=\S+ grep .*)/.exec(stderr) ?? [];
      expect(execFileSync('sh', ['-c', `find ${scripts} | ${filter}`]).toString('latin1')).toBe(`${place.toString('latin1')}\n`);
      expect(stored(at)).toEqual([]);
    } finally {
      rmSync(place);
    }
  });

  it('a disk without room is told as such, and no copy stays beside the files of the DC', async () => {
    const at = setUp(offline);
    const small = tempDir();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'none', small]);
    try {
      const { code, stderr } = await dc.runBkp(['backup', 'samba'], { config: at.config, temp: small });
      expect(code).toBe(1);
      expect(stderr).toContain('the disk is full');
      expect(readdirSync(small)).toEqual([]);
    } finally {
      execFileSync('umount', [small]);
    }
    expect(stored(at)).toEqual([]);
  });

  it('a pod is another place: files go there and back, and nothing stays there', async () => {
    const kubectl = stubTool('');
    writeFileSync(
      join(kubectl, 'kubectl'),
      `#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift\nenv -i PATH="$PATH" "$@"; code=$?\n[ $code = 0 ] || echo "command terminated with exit code $code" >&2\nexit $code\n`,
      {
        mode: 0o755,
      },
    );
    const there = tempDir();
    const where = { kubectl: { namespace: 'ad', pod: 'dc-0', temp: there } };
    const at = setUp({ ...online, where });
    const { code, manifest } = await backedUp(at, { ...asAdmin, PATH: pathWith(kubectl) });
    expect(code).toBe(0);
    expect(manifest['baseline']).toMatchObject({ mode: 'online', after: { users: 4 } });
    expect(readdirSync(there)).toEqual([]);
    const wrong = await bkp(at, ['backup', 'samba'], { AD_PASSWORD: 'wrong-password-1', PATH: pathWith(kubectl) });
    expect({ code: wrong.code, left: readdirSync(there) }).toEqual({ code: 1, left: [] });
    expect(wrong.stderr).toContain('does not accept the user or its password');
    expect(wrong.stderr).toContain('pod ad/dc-0');
  });

  it('errors that dbcheck finds are a warning of the backup and a failure of doctor', async () => {
    const bin = stubTool(`
if argv[0] == 'dbcheck':
    print('ERROR: missing GUID component for member in object CN=staff')
    print('Checked 3628 objects (1 errors)')
    sys.exit(1)`);
    const at = setUp({ ...offline, dbcheck: true, bin: [bin] });
    const { code, warnings } = await backedUp(at);
    expect(code).toBe(0);
    expect(warnings[0]).toContain('dbcheck found 1 error(s)');
    const { code: sick, stdout } = await bkp(at, ['doctor', 'samba', '--json']);
    expect(sick).not.toBe(0);
    expect(stdout).toContain('missing GUID component');
  });
});

describe('a sysvol that is not there', () => {
  /** As if what is mounted there were not. */
  async function withoutSysvol(work: () => Promise<void>): Promise<void> {
    const [place, away] = [join(dc.dir, 'state/sysvol'), join(dc.dir, 'state/away')];
    renameSync(place, away);
    mkdirSync(place);
    try {
      await work();
    } finally {
      rmSync(place, { recursive: true });
      renameSync(away, place);
    }
  }

  it('after a backup that had it is an anomaly: status is red, prune halts, the next whole one is good', async () => {
    const at = setUp(offline);
    await backedUp(at);
    await withoutSysvol(async () => {
      const { code, stdout, stderr } = await bkp(at, ['backup', 'samba']);
      expect({ code, text: stdout + stderr }).toEqual({
        code: 1,
        text: expect.stringContaining('sysvol has no files at all, and the backup before has 2'),
      });
      expect((await bkp(at, ['status'])).code).toBe(10);
      const pruned = await bkp(at, ['prune', 'samba', '--confirm']);
      expect({ code: pruned.code, text: pruned.stdout + pruned.stderr }).toEqual({
        code: 4,
        text: expect.stringContaining('is an anomaly'),
      });
    });
    expect((await backedUp(at)).code).toBe(0);
    expect((await bkp(at, ['status'])).code).toBe(0);
  });

  it('from the first backup on, as on a second DC, lacks the policies that the directory has; doctor says so, too', async () => {
    await withoutSysvol(async () => {
      const at = setUp(offline);
      const { code, warnings } = await backedUp(at);
      const told = 'the directory has 2 group policies, and sysvol none of them';
      expect({ code, warnings: warnings.join() }).toEqual({ code: 3, warnings: expect.stringContaining(told) });
      const sick = await bkp(at, ['doctor', 'samba', '--json']);
      expect({ code: sick.code, text: sick.stdout }).toEqual({ code: 10, text: expect.stringContaining(told) });
    });
  });

  it('of which some policies are missing is a warning', async () => {
    const away = join(dc.dir, 'state/away');
    renameSync(policy(), away);
    try {
      const { code, warnings } = await backedUp(setUp(offline));
      expect({ code, warnings: warnings.join() }).toEqual({ code: 0, warnings: expect.stringContaining('and sysvol the files of 1') });
    } finally {
      renameSync(away, policy());
    }
  });
});

describe('a domain that is kept by LMDB', () => {
  it('without mdb_copy, doctor and the backup say by which package it comes', async () => {
    const kept = await provision({ backend: 'mdb' });
    const at = setUp({ ...offline, smbConf: kept.conf });
    const programs = tempDir();
    for (const dir of (process.env['PATH'] ?? '').split(':').reverse())
      for (const name of existsSync(dir) ? readdirSync(dir) : [])
        if (name !== 'mdb_copy') {
          rmSync(join(programs, name), { force: true });
          symlinkSync(join(dir, name), join(programs, name));
        }
    const { code, stderr } = await bkp(at, ['backup', 'samba'], { PATH: programs });
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('apt-get install lmdb-utils') });
    expect(stored(at)).toEqual([]);
    const { code: sick, stdout } = await bkp(at, ['doctor', 'samba'], { PATH: programs });
    expect({ sick, stdout }).toEqual({ sick: 10, stdout: expect.stringContaining('mdb_copy: missing on this host') });
  });
});

describe('a domain whose smb.conf includes other files', () => {
  it('comes back where they are not: with what lay beside it, and what is lost is named, at the backup already', async () => {
    const from = await provision();
    const [beside, elsewhere] = [join(from.dir, 'etc/shares.conf'), join(tempDir(), 'site.conf')];
    writeFileSync(beside, '[data]\n\tpath = /srv/data\n');
    writeFileSync(elsewhere, '[global]\n\tlog level = 2\n');
    const conf = readFileSync(from.conf, 'utf8');
    writeFileSync(from.conf, `${conf}\n[global]\n\tinclude = ${elsewhere}\n\tinclude = ${beside}\n`);
    const at = setUp({ ...offline, smbConf: from.conf });
    const { code, warnings } = await backedUp(at);
    expect({ code, warnings }).toEqual({ code: 0, warnings: [expect.stringContaining(`smb.conf includes ${elsewhere}`)] });
    const { stdout: looked } = await bkp(at, ['doctor', 'samba']);
    expect(looked).toMatch(new RegExp(`smb.conf: .*${elsewhere}`));
    // Another host has neither.
    renameSync(from.dir, `${from.dir}-lost`);
    rmSync(elsewhere);
    const to = aPlace();
    const restored = await bkp(at, restoreArgs(to, '--server-name', 'newdc'));
    expect({ code: restored.code, stderr: restored.stderr }).toEqual({
      code: 3,
      stderr: expect.stringContaining(`smb.conf included ${elsewhere}, which is neither on this host nor in the backup`),
    });
    const back = readFileSync(join(to, 'etc/smb.conf'), 'utf8');
    expect(back).toMatch(/\[data\]\s+path = \/srv\/data/);
    expect(back).toMatch(/netbios name = NEWDC/);
    expect(back).not.toMatch(/include =/);
    const { code: proven, stdout } = await bkp(at, ['verify', 'samba', '--deep', '--json']);
    expect({ proven, stdout }).toEqual({ proven: 0, stdout: expect.stringContaining(`smb.conf included ${elsewhere}`) });
  });
});

describe('another domain', () => {
  let other: Domain;

  beforeAll(async () => {
    other = await provision({ site: 'Berlin' });
  });

  it('of the same name is refused in the stores of the first, unless that is meant', async () => {
    const at = setUp(offline);
    await backedUp(at);
    const moved = setUp({ ...offline, smbConf: other.conf }, at);
    const { code, stderr } = await bkp(moved, ['backup', 'samba']);
    expect(code).toBe(4);
    expect(stderr).toContain('--new-lineage');
    expect((await bkp(moved, ['backup', 'samba', '--new-lineage'])).code).toBe(0);
  });

  it('SA08: without the default site a restore wants --site, and passes it through', async () => {
    const at = setUp({ ...offline, smbConf: other.conf });
    await backedUp(at);
    const to = aPlace();
    const refused = await bkp(at, restoreArgs(to, '--server-name', 'newdc'));
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain('--site with one of: Berlin');
    const restored = await bkp(at, restoreArgs(to, '--server-name', 'newdc', '--site', 'berlin'));
    expect(restored.code).toBe(0);
    const sites = execFileSync(
      'ldbsearch',
      ['-H', join(to, 'private/sam.ldb'), '-b', 'CN=Sites,CN=Configuration,DC=ad,DC=example,DC=test', '(objectClass=site)', 'cn'],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    expect(sites).toContain('cn: Berlin');
    expect(sites).not.toContain('Default-First-Site-Name');
    expect(statSync(join(to, 'private/tls')).mode & 0o777).toBe(0o700);
  });

  it('that never ran comes back and starts: its archive lacks the empty directories that samba needs', async () => {
    expect(existsSync(join(other.dir, 'private/tls/cert.pem'))).toBe(false);
    const at = setUp({ ...offline, smbConf: other.conf });
    await backedUp(at);
    const drilled = await bkp(at, ['drill', 'samba', '--json']);
    const [target] = lastJson(drilled.stdout)['drill'].targets as Yaml[];
    const bad = (target!['checks'] as Yaml[]).filter(({ state }) => state === 'fail' || state === 'unproven');
    expect({ code: drilled.code, result: target!['result'], bad }).toEqual({ code: 0, result: 'passed', bad: [] });
  });
});

describe('a domain whose DNS is kept elsewhere', () => {
  let bare: Domain;
  let at: At;

  beforeAll(async () => {
    bare = await provision({ dns: 'NONE' });
    at = setUp({ ...offline, smbConf: bare.conf });
  });

  it('is backed up, with what is not in it told, by doctor too', async () => {
    const { code, manifest } = await backedUp(at);
    expect(code).toBe(0);
    expect(manifest['notCovered'].join('\n')).toContain('zones of its DNS');
    const told = async (of: At) => {
      const { stdout } = await bkp(of, ['doctor', 'samba', '--json']);
      return stdout.includes('holds no partitions of DNS');
    };
    expect([await told(at), await told(setUp(offline))]).toEqual([true, false]);
  });

  it('comes back, which samba-tool alone does not do, starts, and is told where to enter the new DC', async () => {
    const drilled = await bkp(at, ['drill', 'samba', '--json']);
    const [target] = lastJson(drilled.stdout)['drill'].targets as Yaml[];
    const bad = (target!['checks'] as Yaml[]).filter(({ state }) => state === 'fail' || state === 'unproven');
    expect({ code: drilled.code, result: target!['result'], bad }).toEqual({ code: 0, result: 'passed', bad: [] });
    const to = aPlace();
    const restored = await bkp(at, restoreArgs(to, '--server-name', 'newdc'));
    expect({ code: restored.code, stderr: restored.code === 0 ? '' : restored.stderr }).toEqual({ code: 0, stderr: '' });
    expect(restored.stdout).toContain('DNS is kept elsewhere: enter there');
    expect(restored.stdout).not.toContain('point clients at');
    expect(existsSync(join(to, 'private/dns_update_list'))).toBe(true);
    const roles = execFileSync('samba-tool', ['fsmo', 'show', '-H', join(to, 'private/sam.ldb')], { encoding: 'utf8' });
    expect(roles).toMatch(/RidAllocationMasterRole owner: CN=NTDS Settings,CN=NEWDC,/);
  });
});
