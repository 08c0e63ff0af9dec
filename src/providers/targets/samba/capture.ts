import { join } from 'node:path';
import type { Bytes, Facts, Id, Known, Piece, Site, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { openSite } from '../../../flow/site/index.ts';
import { type Baseline, countsOf, lackingFiles, readBaseline, shrunk, sysvolShrunk } from './baseline.ts';
import { modeOf, type SambaConfig } from './config.ts';
import { dbcheck } from './dbcheck.ts';
import { sweeping } from './debris.ts';
import { explained } from './errors.ts';
import { identityOf, refuseForeign } from './identity.ts';
import { includesTold, MEND_INCLUDES } from './includes.ts';
import { ask, type Look } from './look.ts';
import { assertInside, assertWhole, type Contents, DomainScan } from './members.ts';
import { NO_DNS } from './noDns.ts';
import { readSaid, type Said } from './said.ts';
import { hardLinks, wantedFiles, withAddresses } from './source.ts';
import { linksTold, MEND_POLICIES, mendLinks, policiesTold, sysvolGone } from './sysvol.ts';
import { type Access, accessOf, confArgs, credentials, findTools, millis, sambaTool, type Tools } from './tools.ts';

type Context = TargetContext<SambaConfig>;

/** One backup in the making. */
interface Job {
  tools: Tools;
  /** Of this operation's own, where the tools run. */
  dir: string;
  access: Access;
}

/** The one name of a whole archive; one that was not finished is called INCOMPLETE… (4.17). */
const ARCHIVE = /^samba-backup-.*\.tar\.bz2$/;

const who = (ctx: Context): string => `samba/${ctx.name}`;

async function look(ctx: Context, { tools, access }: Job): Promise<Look> {
  try {
    return await ask(tools, access.args, { env: access.env, timeoutMs: millis(ctx, 'ask') });
  } catch (error) {
    throw explained(`${who(ctx)}: asking the domain on ${tools.site.name}`, error);
  }
}

/** Whether the files of a DC are there to be looked at. */
const onDc = (ctx: Context): boolean => ctx.config.user === undefined || modeOf(ctx.config) === 'offline';

/** @returns how many errors dbcheck found, and what is to be told; a check that fails does not stop a backup */
async function checkSource(ctx: Context, { tools, dir }: Job): Promise<{ errors?: number; warnings: string[] }> {
  if (!ctx.config.dbcheck || !onDc(ctx)) return { warnings: [] };
  ctx.report.emit({ type: 'started', what: 'dbcheck' });
  try {
    const { errors, first } = await dbcheck(tools, confArgs(ctx.config), { dir, timeoutMs: millis(ctx, 'dbcheck') });
    const text = `dbcheck found ${errors} error(s) in the database of the DC${first ? `, the first: ${first}` : ''}; samba-tool dbcheck --cross-ncs --fix`;
    return { errors, warnings: errors > 0 ? [text] : [] };
  } catch (error) {
    ctx.signal.throwIfAborted();
    return { warnings: [`the database of the DC was not checked: ${sentence(error)}`] };
  }
}

/** The name by which the DC on which the tools run is reached. */
const serverOf = (ctx: Context, { name, realm }: Look): string => ctx.config.server ?? `${name}.${realm}`.toLowerCase();

async function takeOnline(ctx: Context, job: Job, seen: Look, out: string): Promise<string> {
  const { args, env } = await credentials(ctx, job.tools.site, job.dir);
  const server = serverOf(ctx, seen);
  const what = `${who(ctx)}: online backup of ${server} by samba-tool ${seen.version}`;
  return sambaTool(
    job.tools,
    what,
    ['domain', 'backup', 'online', `--server=${server}`, `--targetdir=${out}`, ...args, ...confArgs(ctx.config)],
    {
      dir: job.dir,
      env,
      timeoutMs: millis(ctx, 'backup'),
    },
  );
}

async function takeOffline(ctx: Context, job: Job, seen: Look, out: string): Promise<string> {
  const { tools, dir } = job;
  const what = `${who(ctx)}: offline backup on ${tools.site.name} by samba-tool ${seen.version}`;
  const args = ['domain', 'backup', 'offline', `--targetdir=${out}`, ...confArgs(ctx.config)];
  return sweeping(ctx, tools.site, seen.paths, () =>
    sambaTool(tools, what, args, { dir, timeoutMs: millis(ctx, 'backup'), from: 'files' }),
  );
}

/** The archive that samba-tool made: one, finished. */
async function archiveIn(site: Site, out: string): Promise<string> {
  const names = await site.names(out);
  const [name, ...others] = names.filter(each => ARCHIVE.test(each));
  if (name !== undefined && others.length === 0) return join(out, name);
  throw new BkpError(
    'failed',
    `samba-tool ended well and left ${names.length === 0 ? 'nothing' : names.join(', ')} where one archive was to be`,
    {
      next: 'bkp doctor samba',
    },
  );
}

/**
 * The archive without its bzip2, which zstd does better.
 * @param judge sees what is in it before the last byte is believed: what it refuses is never published
 */
async function* plainTar(ctx: Context, site: Site, path: string, judge: (contents: Contents) => Promise<void>): Bytes {
  const scan = new DomainScan();
  const { out, done } = ctx.run.pipeline([{ file: 'bzip2', args: ['-dc'] }], { signal: ctx.signal, input: site.read(path) });
  try {
    for await (const chunk of out as Bytes) {
      scan.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      await scan.drained();
      yield chunk;
    }
    await done;
    await judge(await scan.end());
  } finally {
    out.destroy();
    scan.stop();
  }
}

/** Which of what the DC has is not in the backup as it was (SA06). */
function lacking({ sysvol }: Contents, before: Look, after: Look, said: Said): string[] {
  const seen = [before.sysvol, after.sysvol].filter(each => each !== null);
  const least = { files: Math.min(...seen.map(each => each.files)), policies: Math.min(...seen.map(each => each.policies)) };
  const denied = after.sysvol?.denied ?? [];
  return [
    ...said.lacks,
    ...(seen.length > 0 ? lackingFiles(least, sysvol, 'in the backup') : []),
    ...(denied.length > 0 ? [`${denied.length} directories of sysvol may not be read, the first: ${denied[0]}`] : []),
    ...(sysvol.bare > 0
      ? [
          `the permissions of ${sysvol.bare} files and directories of sysvol are missing: back up by a \`user:\` of Domain Admins, or by \`mode: offline\``,
        ]
      : []),
  ];
}

const NOT_COVERED = ['files of shares other than sysvol and netlogon', 'print drivers', 'the operating system of the DC'];
const NOT_ONLINE = 'the smb.conf of the DC: a restore gets that of the host on which the tools ran';

function refuseUnready(ctx: Context): void {
  if (ctx.run.which('bzip2') === undefined)
    throw new BkpError('failed', `${who(ctx)}: bzip2 is not on this host, and samba-tool packs by it`, { next: 'apt-get install bzip2' });
}

/** Only samba-tool's copy of files stumbles: over the network a link is what it leads to. */
function refuseLinks(ctx: Context, { sysvol, paths }: Look): void {
  const links = linksTold(sysvol);
  if (links === undefined) return;
  throw new BkpError('failed', `${who(ctx)}: ${links}, and samba-tool backs up files and directories alone`, { next: mendLinks(paths) });
}

const lastBaseline = (known: readonly Known[]): Baseline | undefined => readBaseline(known.at(-1)?.manifest.baseline);

/** That of the newest backup that is no anomaly. */
const goodBaseline = (known: readonly Known[]): Baseline | undefined =>
  readBaseline(known.findLast(({ manifest }) => manifest.anomaly === undefined)?.manifest.baseline);

/**
 * Takes a domain as the archive of `samba-tool domain backup`, by a clone over the network or from the files of the DC.
 * @throws BkpError('refused') before the first byte when it is another domain; 'failed' when samba-tool failed or its archive is not whole
 */
export async function* capture(
  ctx: Context,
  options: { id: Id; newLineage: boolean; known: readonly Known[] },
): AsyncGenerator<Piece, Facts> {
  refuseUnready(ctx);
  const site = await openSite(ctx, ctx.config.where);
  try {
    const tools = await findTools(site, ctx.config.bin);
    const dir = await site.dir();
    const job: Job = { tools, dir, access: await accessOf(ctx, site, dir) };
    const before = await look(ctx, job);
    refuseForeign(ctx.name, before, options.known, options.newLineage);
    const mode = modeOf(ctx.config);
    if (mode === 'offline') refuseLinks(ctx, before);
    const checked = await checkSource(ctx, job);
    const at = ctx.clock.now();
    const out = join(dir, 'out');
    ctx.report.emit({ type: 'started', what: `samba-tool domain backup ${mode}` });
    const said = readSaid(await (mode === 'online' ? takeOnline : takeOffline)(ctx, job, before, out));
    const wanted = mode === 'offline' ? await wantedFiles(site, before.paths) : ['private/encrypted_secrets.key'];
    const judged: { contents?: Contents; links: string[] } = { links: [] };
    const judge = async (contents: Contents): Promise<void> => {
      assertInside(contents);
      Object.assign(judged, { contents, links: assertWhole(contents, before.realm, wanted) });
    };
    yield { name: 'domain.tar', bytes: plainTar(ctx, site, await archiveIn(site, out), judge) };
    const { contents, links } = judged;
    if (contents === undefined) throw new BkpError('failed', `${who(ctx)}: the archive was not read to its end`);
    const after = await look(ctx, job);
    const { files, policies } = contents.sysvol;
    const baseline: Baseline = {
      mode,
      dcs: await withAddresses(site, after.dcs),
      sites: after.sites,
      before: countsOf(before),
      after: countsOf(after),
      sysvol: { files, policies },
      hardLinks: mode === 'offline' ? await hardLinks(site, before.paths) : [],
      dns: after.dns,
      ...(checked.errors === undefined ? {} : { dbcheckErrors: checked.errors }),
    };
    const last = lastBaseline(options.known);
    const gone = sysvolGone(goodBaseline(options.known)?.sysvol, baseline.sysvol);
    const without = policiesTold(Math.min(before.policies, after.policies), baseline.sysvol);
    return {
      identity: identityOf(after),
      at,
      needs: [],
      baseline,
      versions: { server: after.version },
      notCovered: [...NOT_COVERED, ...(mode === 'online' ? [NOT_ONLINE] : []), ...(after.dns ? [] : [NO_DNS])],
      lacks: [
        ...lacking(contents, before, after, said),
        ...(without !== undefined && policies === 0 ? [`${without}: ${MEND_POLICIES}`] : []),
      ],
      ...(gone === undefined ? {} : { emptied: gone }),
      warnings: [
        ...checked.warnings,
        ...said.warnings,
        ...links,
        ...(mode === 'offline' ? includesTold(after.includes ?? []).map(text => `${text}: ${MEND_INCLUDES}`) : []),
        ...shrunk(last?.after, baseline.after),
        ...(gone === undefined ? sysvolShrunk(last?.sysvol, baseline.sysvol) : []),
        ...(without !== undefined && policies > 0 ? [`${without}: ${MEND_POLICIES}`] : []),
        ...(after.sysvol === null ? [`sysvol of the DC could not be counted: ${after.sysvolError}`] : []),
      ],
    };
  } finally {
    await site.close();
  }
}
