import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BkpOptions, bkpCommand } from './bkp.ts';
import { type Ended, type Running, run, start } from './child.ts';
import { guarded } from './guard.ts';
import { tempDir } from './temp.ts';
import { waitFor } from './wait.ts';

export const REALM = 'ad.example.test';
export const ADMIN_PASSWORD = "Passw0rd.x'%41#$";

/** The first process of the namespaces: what it started ends when stdin closes, and with it everything in there. */
const KEEPER = `ip link set lo up && mount -t tmpfs none /run && mkdir -p /run/samba/winbindd || exit 97; exec 3<&0
"$@" </dev/null 3<&- & tool=$!
{ while read -r line; do :; done; kill "$tool"; } <&3 >/dev/null 2>&1 &
exec 3<&-
wait "$tool"`;

const onFiles = (conf: string, args: readonly string[]): string =>
  execFileSync('samba-tool', [...args, '-s', conf], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** samba-tool on the files of a restored DC. */
export const toolOn = (dir: string, ...args: string[]): string =>
  onFiles(join(dir, 'etc/smb.conf'), [...args, '-H', join(dir, 'private/sam.ldb')]);

/** A domain in a directory, on a network of its own once it is started: its ports are fixed, and nobody else's. */
export class Domain {
  readonly dir: string;
  #child: Running | undefined;

  constructor(dir: string) {
    this.dir = dir;
  }

  get conf(): string {
    return join(this.dir, 'etc/smb.conf');
  }

  get sam(): string {
    return join(this.dir, 'private/sam.ldb');
  }

  /** Starts samba and waits for LDAP. Its pids and sockets lie below its directory. */
  async start(): Promise<void> {
    const own = join(this.dir, 'run');
    mkdirSync(own, { recursive: true });
    const conf = join(own, 'smb.conf');
    const text = ['interfaces = lo', 'bind interfaces only = yes', `log file = ${own}/log.%m`, 'dns update command = /bin/true'];
    writeFileSync(conf, `include = ${this.conf}\n[global]\n${text.join('\n')}\n`);
    const samba = ['samba', '-i', '-M', 'single', '--debug-stdout', '-d1', '-s', conf];
    this.#child = start('unshare', ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', KEEPER, 'sh', ...samba], {
      keepInput: true,
    });
    guarded.addPid(this.#child.pid);
    await waitFor(() => this.beside('ldbsearch', ['-H', 'ldap://127.0.0.1', '-s', 'base', '-b', '', 'defaultNamingContext']), 'LDAP');
    await waitFor(() => this.beside('smbclient', ['-N', '-L', '//127.0.0.1']).catch(() => false), 'SMB');
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
    child.process.stdin?.end();
    await child.ended;
    clearTimeout(late);
    guarded.dropPid(child.pid);
  }

  /** The command line of a program that sees the network of this domain. */
  inside(file: string, args: readonly string[]): [string, string[]] {
    if (!this.#child) throw new Error('the domain is not started');
    return ['nsenter', ['--target', String(this.#child.pid), '--net', file, ...args]];
  }

  beside(file: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
    const [program, all] = this.inside(file, args);
    return run(program, all, { env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', ...env } });
  }

  /** Starts the built bkp, on the network of this domain when it is started. */
  startBkp(args: readonly string[], options: BkpOptions & { temp?: string } = {}): Running {
    const [file, words] = bkpCommand(args);
    const [program, all] = this.#child ? this.inside(file, words) : [file, words];
    const child = start(program, all, {
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: '/root',
        XDG_CACHE_HOME: join(this.dir, 'cache-of-bkp'),
        TMPDIR: options.temp ?? process.env['TMPDIR'] ?? '/tmp',
        ...(options.config ? { BKP_CONFIG: options.config } : {}),
        ...options.env,
      },
    });
    guarded.addPid(child.pid);
    child.process.once('exit', () => guarded.dropPid(child.pid));
    return child;
  }

  runBkp = (args: readonly string[], options: BkpOptions & { temp?: string } = {}): Promise<Ended> => this.startBkp(args, options).ended;

  /** samba-tool on the files of this domain. */
  tool = (...args: string[]): string => onFiles(this.conf, args);
}

/** Makes a domain with one DC, `DC1`; it is not started. About five seconds. */
export async function provision(options: { realm?: string; site?: string; dns?: string; backend?: 'mdb' } = {}): Promise<Domain> {
  const dir = join(tempDir(), 'dc');
  const realm = options.realm ?? REALM;
  const args = [
    ...['domain', 'provision', `--realm=${realm.toUpperCase()}`, '--domain=ADTEST', '--server-role=dc'],
    `--dns-backend=${options.dns ?? 'SAMBA_INTERNAL'}`,
    ...[`--adminpass=${ADMIN_PASSWORD}`, '--host-name=dc1', '--host-ip=127.0.0.1', `--targetdir=${dir}`],
    ...['--option=interfaces=lo', '--option=bind interfaces only=yes'],
    ...(options.backend === undefined ? [] : [`--backend-store=${options.backend}`]),
    ...(options.site === undefined ? [] : [`--site=${options.site}`]),
  ];
  await run('samba-tool', args, { env: { PATH: process.env['PATH'] ?? '' } });
  const domain = new Domain(dir);
  writeFileSync(domain.conf, readFileSync(domain.conf, 'utf8').replace(/^\s*dns forwarder.*\n/m, ''));
  return domain;
}

/**
 * Python that writes an offline backup of names alone, as quick as it is useless: every file that the DC has, each of one byte, but those
 * whose names end with `without`; `policies` of two and as many files in its sysvol.
 */
const ARCHIVE = (dc: Domain): string => `
def archive(without=(), policies=2):
    import io, tarfile
    os.makedirs(target)
    def put(tar, name, data=b'x'):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode='w:gz') as tar:
        for guid in ['{31B2F340-016D-11D2-945F-00C04FB984F9}', '{6AC1786C-016F-11D2-945F-00C04FB984F9}'][:policies]:
            folder = tarfile.TarInfo('ad.example.test/Policies/' + guid)
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
            for name in (guid + '.NTACL', guid + '/GPT.INI', guid + '/GPT.INI.NTACL'):
                put(tar, 'ad.example.test/Policies/' + name)
    private = '${join(dc.dir, 'private')}'
    names = ['private/' + name for name in os.listdir(private) if os.path.isfile(private + '/' + name)]
    names += ['private/sam.ldb.d/' + name for name in os.listdir(private + '/sam.ldb.d')] + ['backup.txt', 'etc/smb.conf']
    with tarfile.open(target + '/samba-backup-2026-01-15T02-00-00.tar.bz2', 'w:bz2') as tar:
        for name in names:
            if not name.endswith(tuple(without)):
                put(tar, name)
        if 'sysvol.tar.gz' not in without:
            put(tar, 'sysvol.tar.gz', inner.getvalue())
`;

/** A directory with a samba-tool that runs `script` (Python) first and then is the real one. `argv` are its arguments. */
export function stubTool(script: string, dc?: Domain): string {
  const dir = tempDir();
  const path = join(dir, 'samba-tool');
  const real = execFileSync('sh', ['-c', 'command -v samba-tool'], { encoding: 'utf8' }).trim();
  writeFileSync(
    path,
    `#!/usr/bin/python3\nimport os, sys\nargv = sys.argv[1:]\nbackup = argv[:2] == ['domain', 'backup'] and argv[2] in ('online', 'offline')\ntarget = next((a.split('=', 1)[1] for a in argv if a.startswith('--targetdir=')), None)\n${dc ? ARCHIVE(dc) : ''}${script}\nos.execv('${real}', ['samba-tool'] + argv)\n`,
  );
  chmodSync(path, 0o755);
  if (!existsSync(real)) throw new Error('samba-tool is not installed: run `npm run setup`');
  return dir;
}
