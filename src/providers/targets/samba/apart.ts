import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Child, Command, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { confOf } from './paths.ts';

/** A samba that runs in namespaces of its own: it sees no network but its loopback, nobody sees it, and its ports are free. */
export interface Apart {
  /** A command line as one that runs beside it. */
  beside(command: Command): Command;
  /** Whether it still runs. */
  running(): boolean;
  /** What it said last. */
  said(): string;
  stop(): Promise<void>;
}

/**
 * Brings up loopback, covers `$1` with an empty file system and makes `$2` in it, then starts the rest as a program. That ends when stdin
 * closes: so nothing outlives us, however we end. It is the first process of its namespace, and all others in there go with it.
 */
const KEEPER = `ip link set lo up && mount -t tmpfs -o mode=755 none "$1" && mkdir -p "$2" || exit 97
shift 2; exec 3<&0
"$@" </dev/null 3<&- & tool=$!
{ while read -r line; do :; done; kill "$tool"; } <&3 >/dev/null 2>&1 &
exec 3<&-
wait "$tool"`;

const UNSHARE = ['--net', '--mount', '--pid', '--fork', '--kill-child'];
const PATIENCE_MS = 10_000;
const KEPT_LINES = 20;
/** Below a directory samba makes sockets, whose paths may have 107 bytes (unix(7)). */
const LONGEST = 60;

/**
 * Why samba cannot be started apart on this host, or undefined.
 * @param dir below which the domain lies
 */
export async function cannotStart(ctx: TargetContext, dir: string): Promise<string | undefined> {
  const missing = ['unshare', 'nsenter', 'ip'].filter(tool => ctx.run.which(tool) === undefined);
  if (missing.length > 0) return `${missing.join(', ')} missing on this host`;
  if (Buffer.byteLength(dir) > LONGEST) return `${dir} is too long a path for its sockets`;
  try {
    await ctx.run.text(
      { file: 'unshare', args: [...UNSHARE, 'ip', 'link', 'set', 'lo', 'up'] },
      { signal: ctx.signal, timeoutMs: PATIENCE_MS },
    );
    return undefined;
  } catch (error) {
    ctx.signal.throwIfAborted();
    return `this host gives no network namespace: ${sentence(error)}`;
  }
}

/**
 * The smb.conf of the copy, with all that it would share with a samba of this host moved below `dir`; smbd and winbindd read it too. Its
 * machine account sees all of sysvol: the copy lies where accounts of its own cannot go.
 */
const confText = (to: string, dir: string, winbind: string, machine: string): string => `include = ${confOf(to)}
[global]
interfaces = lo
bind interfaces only = yes
pid directory = ${dir}
ncalrpc dir = ${dir}/ncalrpc
winbindd socket directory = ${winbind}
log file = ${dir}/log.%m
dns update command = /bin/true
spn update command = /bin/true
rndc command = /bin/true
panic action =
[sysvol]
admin users = ${machine}
`;

/** Kerberos of the copy alone: no DNS, no other KDC. Heimdal, which Samba brings along, wants a line for each thing. */
const krbText = (realm: string): string => `[libdefaults]
default_realm = ${realm.toUpperCase()}
dns_lookup_kdc = false
dns_lookup_realm = false
[realms]
${realm.toUpperCase()} = {
 kdc = 127.0.0.1
}
`;

/** What commands beside it need: the smb.conf, and the environment of Kerberos; `winbind` is where smbd looks for winbindd. */
export interface Surroundings {
  conf: string;
  env: Record<string, string>;
  samba: string;
  winbind: string;
}

/** Where a program of samba is. */
function programOf(ctx: TargetContext, name: string, dirs: readonly string[]): string {
  const found = ctx.run.which(name, [...dirs, '/usr/sbin', '/usr/local/samba/sbin']);
  if (found) return found;
  throw new BkpError('failed', `${name} is not on this host`, { next: 'apt-get install samba' });
}

/** smbd asks winbindd through a socket of a place that is compiled in, whatever smb.conf says (tried on 4.17). */
async function winbindDir(ctx: TargetContext, dirs: readonly string[]): Promise<string> {
  const { stdout } = await ctx.run.text({ file: programOf(ctx, 'smbd', dirs), args: ['-b'] }, { signal: ctx.signal });
  return /WINBINDD_SOCKET_DIR:\s*(\/\S+)/.exec(stdout)?.[1] ?? '/run/samba/winbindd';
}

/** What is covered so that this place is the copy's alone: all of /run, or just the place where it lies elsewhere. */
const covered = (winbind: string): string => (/^(?:\/var)?\/run\//.test(winbind) ? '/run' : winbind);

/**
 * Writes the configuration of a copy that runs apart. `dir` is made.
 * @param copy where it lies, its DNS name, and its machine account as `DOMAIN\NAME$`
 * @param bin directories looked at first
 * @throws BkpError('failed') when there is no samba
 */
export async function surround(
  ctx: TargetContext,
  { to, realm, machine }: { to: string; realm: string; machine: string },
  dir: string,
  bin: readonly string[],
): Promise<Surroundings> {
  const samba = programOf(ctx, 'samba', bin);
  const winbind = await winbindDir(ctx, bin);
  await mkdir(dir, { mode: 0o755 });
  const [conf, krb] = [join(dir, 'smb.conf'), join(dir, 'krb5.conf')];
  await writeFile(conf, confText(to, dir, winbind, machine));
  await writeFile(krb, krbText(realm));
  return { conf, env: { KRB5_CONFIG: krb, KRB5CCNAME: `FILE:${join(dir, 'ccache')}` }, samba, winbind };
}

async function collect(child: Child, lines: string[]): Promise<void> {
  for await (const line of child.lines()) {
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
  }
}

/** Starts samba on a copy, apart. `stop` has to be called. */
export function startApart(ctx: TargetContext, { conf, samba, winbind }: Surroundings): Apart {
  const words = [samba, '-i', '-M', 'single', '--debug-stdout', '-d1', '-s', conf];
  const args = [...UNSHARE, 'sh', '-c', KEEPER, 'sh', covered(winbind), winbind, ...words];
  const child = ctx.run.start({ file: 'unshare', args, cwd: dirname(conf) }, { stdin: true });
  const lines: string[] = [];
  let running = true;
  const over = Promise.all([child.ended.catch(() => undefined), collect(child, lines)]).then(() => {
    running = false;
  });
  return {
    beside: command => ({ ...command, file: 'nsenter', args: ['--target', String(child.pid), '--net', command.file, ...command.args] }),
    running: () => running,
    said: () => lines.slice(-3).join(' / '),
    async stop() {
      child.stdin?.end();
      // unshare passes SIGTERM by; what it started ends with it.
      const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
      await over;
      clearTimeout(late);
    },
  };
}
