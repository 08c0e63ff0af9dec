import type { Check, Site, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { formatBytes } from '../../../core/size.ts';
import { openSite } from '../../../flow/site/index.ts';
import { liveDc } from './alive.ts';
import { modeOf, type SambaConfig } from './config.ts';
import { dbcheck } from './dbcheck.ts';
import { explained } from './errors.ts';
import { includesTold, MEND_INCLUDES } from './includes.ts';
import { ask, type Look } from './look.ts';
import { hardLinks } from './source.ts';
import { linksTold, MEND_POLICIES, mendLinks, policiesTold } from './sysvol.ts';
import { accessOf, confArgs, findTools, millis, type Tools } from './tools.ts';
import { versionOf } from './version.ts';

type Context = TargetContext<SambaConfig>;

function failed(name: string, error: unknown): Check {
  const mend = error instanceof BkpError ? error.next.join('\n') : '';
  return { name, state: 'fail', text: sentence(error), ...(mend ? { mend } : {}) };
}

async function attempt(ctx: Context, name: string, work: () => Promise<Check>): Promise<Check> {
  return work().catch(error => {
    ctx.signal.throwIfAborted();
    return failed(name, error);
  });
}

const bzip2 = (ctx: Context): Check =>
  ctx.run.which('bzip2') === undefined
    ? { name: 'bzip2', state: 'fail', text: 'missing on this host; samba-tool packs by it', mend: 'apt-get install bzip2' }
    : { name: 'bzip2', state: 'ok', text: 'there' };

const ONLINE_BY_MACHINE: Check = {
  name: 'mode',
  state: 'warn',
  text: 'online without `user:`: the machine account may not read the permissions of sysvol over SMB, so they come back as defaults',
  mend: '`mode: offline` on the DC, or `user:` and `password:` of Domain Admins',
};

function mode(ctx: Context): Check {
  const chosen = modeOf(ctx.config);
  if (chosen === 'online' && ctx.config.user === undefined) return ONLINE_BY_MACHINE;
  return {
    name: 'mode',
    state: 'ok',
    text: chosen === 'online' ? `online, as ${ctx.config.user} from ${ctx.config.server}` : 'offline, from the files of the DC',
  };
}

function account({ admin }: Look, ctx: Context): Check[] {
  if (admin === undefined) return [];
  if (admin) return [{ name: 'account', state: 'ok', text: `${ctx.config.user} is of a group that may replicate everything` }];
  return [
    {
      name: 'account',
      state: 'warn',
      text: `${ctx.config.user} is not of Domain Admins: unless it was given "Replicating Directory Changes All", a backup is denied`,
      mend: `samba-tool group addmembers "Domain Admins" ${ctx.config.user}`,
    },
  ];
}

const ridPool = ({ rid, ridError }: Look): Check =>
  rid === null
    ? {
        name: 'RID pool',
        state: 'fail',
        text: `the DC has no usable RID pool, so no backup can be taken of it: ${ridError ?? 'it said nothing'}`,
        mend: 'samba-tool dbcheck --fix; samba-tool fsmo show: does the holder of the RID role answer?',
      }
    : { name: 'RID pool', state: 'ok', text: `the next RID is ${rid}` };

function sysvol({ sysvol: seen, sysvolError, paths, policies }: Look, ctx: Context): Check {
  if (seen === null)
    return { name: 'sysvol', state: 'fail', text: `it cannot be read: ${sysvolError}`, mend: 'samba-tool ntacl sysvolcheck' };
  if (seen.denied.length > 0)
    return {
      name: 'sysvol',
      state: 'fail',
      text: `${seen.denied.length} directories may not be read, the first: ${seen.denied[0]}`,
      mend: 'samba-tool ntacl sysvolreset',
    };
  const links = modeOf(ctx.config) === 'offline' ? linksTold(seen) : undefined;
  if (links !== undefined)
    return { name: 'sysvol', state: 'fail', text: `${links}: no offline backup comes about`, mend: mendLinks(paths).join('\n') };
  const without = policiesTold(policies, seen);
  if (without !== undefined) return { name: 'sysvol', state: seen.policies === 0 ? 'fail' : 'warn', text: without, mend: MEND_POLICIES };
  return { name: 'sysvol', state: 'ok', text: `${seen.files} files, ${seen.policies} policies` };
}

const isDefaultSiteHere = ({ sites }: Look): Check =>
  sites.includes('Default-First-Site-Name')
    ? { name: 'sites', state: 'ok', text: sites.join(', ') }
    : {
        name: 'sites',
        state: 'warn',
        text: `none is Default-First-Site-Name: ${sites.join(', ')}`,
        mend: `site: ${sites[0]}   # for restores`,
      };

const dns = ({ dns: held }: Look): Check =>
  held
    ? { name: 'DNS', state: 'ok', text: 'the DC holds the partitions of DNS' }
    : {
        name: 'DNS',
        state: 'warn',
        text: 'the DC holds no partitions of DNS: bkp restores such a domain, samba-tool alone does not, and its zones are in no backup of it',
        mend: 'back up the zones where they are kept: bkp backup volumes, engine files',
      };

async function linked(site: Site, seen: Look): Promise<Check> {
  const found = await hardLinks(site, seen.paths);
  if (found.length === 0) return { name: 'hard links', state: 'ok', text: 'none in the database' };
  return {
    name: 'hard links',
    state: 'warn',
    text: `${found.length} files of the database have a second name, as BIND9_DLZ gives them: they are backed up once, and a restore makes the others anew`,
    mend: 'after a restore: samba_upgradedns --dns-backend=BIND9_DLZ',
  };
}

async function database(ctx: Context, tools: Tools, dir: string): Promise<Check> {
  const { objects, errors, first } = await dbcheck(tools, confArgs(ctx.config), { dir, timeoutMs: millis(ctx, 'dbcheck') });
  if (errors === 0) return { name: 'dbcheck', state: 'ok', text: `${objects} objects without an error` };
  return {
    name: 'dbcheck',
    state: 'fail',
    text: `${errors} error(s)${first ? `, the first: ${first}` : ''}`,
    mend: 'samba-tool dbcheck --cross-ncs --fix',
  };
}

/** KiB, by POSIX's own options. */
const kib = (text: string): number => Number(/(\d+)/.exec(text)?.[1] ?? Number.NaN);

/** A backup is written beside its copies before it is read: twice the database has to fit. */
async function room(site: Site, dir: string, seen: Look): Promise<Check> {
  const used = kib((await site.text({ file: 'du', args: ['-sk', seen.paths.private] })).stdout) * 1024;
  const { stdout } = await site.text({ file: 'df', args: ['-Pk', dir] });
  const free = Number(stdout.trim().split('\n').at(-1)?.split(/\s+/)[3]) * 1024;
  const text = `${formatBytes(free)} free for temporary files on ${site.name}, and the database takes ${formatBytes(used)}`;
  if (free >= 2 * used) return { name: 'room', state: 'ok', text };
  return { name: 'room', state: 'fail', text, mend: '`temp:` in the config, or of `where`, names a directory with more room' };
}

/** samba-tool copies LMDB by a program that does not come with Samba. */
async function mdbCopy(site: Site): Promise<Check> {
  const path = await site.which('mdb_copy', []);
  if (path !== undefined) return { name: 'mdb_copy', state: 'ok', text: `${path} on ${site.name}` };
  return {
    name: 'mdb_copy',
    state: 'fail',
    text: `missing on ${site.name}: the database is of LMDB, and no offline backup comes about without it`,
    mend: 'apt-get install lmdb-utils',
  };
}

const included = ({ includes = [] }: Look): Check =>
  includes.length === 0
    ? { name: 'smb.conf', state: 'ok', text: 'what it includes is in its backups' }
    : { name: 'smb.conf', state: 'warn', text: includesTold(includes).join('; '), mend: MEND_INCLUDES };

async function* onDc(ctx: Context, tools: Tools, dir: string, seen: Look): AsyncGenerator<Check> {
  yield await attempt(ctx, 'hard links', () => linked(tools.site, seen));
  yield included(seen);
  if (seen.lmdb && modeOf(ctx.config) === 'offline') yield await attempt(ctx, 'mdb_copy', () => mdbCopy(tools.site));
  yield await attempt(ctx, 'room', () => room(tools.site, dir, seen));
  if (ctx.config.dbcheck) yield await attempt(ctx, 'dbcheck', () => database(ctx, tools, dir));
}

async function* reachable(ctx: Context, seen: Look): AsyncGenerator<Check> {
  if (modeOf(ctx.config) !== 'online' || ctx.config.where !== 'local') return;
  const server = ctx.config.server ?? `${seen.name}.${seen.realm}`.toLowerCase();
  const live = await liveDc([server]);
  yield live === undefined
    ? { name: 'server', state: 'fail', text: `no DC answers at ${server}`, mend: 'start samba there, or name another DC: `server:`' }
    : { name: 'server', state: 'ok', text: live };
}

async function* checks(ctx: Context, site: Site): AsyncGenerator<Check> {
  let tools: Tools;
  let seen: Look;
  const dir = await site.dir();
  try {
    tools = await findTools(site, ctx.config.bin);
    yield { name: 'samba-tool', state: 'ok', text: `${await versionOf(tools)} at ${tools.path} on ${site.name}` };
    const { args, env } = await accessOf(ctx, site, dir);
    seen = await ask(tools, args, { env, timeoutMs: millis(ctx, 'ask') }).catch(error => {
      throw explained('asking the domain', error);
    });
  } catch (error) {
    ctx.signal.throwIfAborted();
    yield failed('domain', error);
    return;
  }
  yield {
    name: 'domain',
    state: 'ok',
    text: `${seen.realm} (${seen.netbios}), ${seen.sid}; ${seen.users} users; DCs ${seen.dcs.map(dc => dc.name).join(', ')}`,
  };
  yield* account(seen, ctx);
  yield* reachable(ctx, seen);
  yield ridPool(seen);
  yield sysvol(seen, ctx);
  yield isDefaultSiteHere(seen);
  yield dns(seen);
  if (modeOf(ctx.config) === 'offline' || ctx.config.user === undefined) yield* onDc(ctx, tools, dir, seen);
}

/** Every condition of backup and restore of one domain, each with what mends it. */
export async function* doctor(ctx: Context): AsyncIterable<Check> {
  yield bzip2(ctx);
  yield mode(ctx);
  let site: Site;
  try {
    site = await openSite(ctx, ctx.config.where);
  } catch (error) {
    yield failed('place', error);
    return;
  }
  try {
    yield* checks(ctx, site);
  } finally {
    await site.close();
  }
}
