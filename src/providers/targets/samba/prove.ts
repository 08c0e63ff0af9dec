import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest, ProofRequest, TargetContext, Trial } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { formatBytes } from '../../../core/size.ts';
import { assertOpens } from '../../../flow/age.ts';
import { openSite } from '../../../flow/site/index.ts';
import { inspectCopy } from './after.ts';
import { readBaseline } from './baseline.ts';
import { bringBack, fetchTar } from './bring.ts';
import type { SambaConfig } from './config.ts';
import { drill } from './drill.ts';
import { DEFAULT_SITE, type NewDc, throwAway } from './names.ts';
import { refuseNoRoom, refuseUnprivileged, tarBytes } from './place.ts';
import { findTools, type Tools } from './tools.ts';
import { refuseOlder } from './version.ts';

type Context = TargetContext<SambaConfig>;

/** What an error of restoring means: what tells of this host proves nothing of the backup. */
function judged(name: string, error: unknown): Trial {
  if (!(error instanceof BkpError) || error.exit === 'storeUnreachable') throw error;
  const text = sentence(error);
  const ofBackup =
    ['verifyFailed', 'failed'].includes(error.exit) && !/disk is full|does not fit|Permission denied|not permitted|may not set/.test(text);
  return { name, state: ofBackup ? 'fail' : 'unproven', text, ...(ofBackup || !error.next[0] ? {} : { mend: error.next[0] }) };
}

async function preflight(ctx: Context, tools: Tools, { manifest, dir }: ProofRequest): Promise<void> {
  refuseUnprivileged();
  await refuseOlder(tools, manifest.versions['server']);
  if (manifest.line.includes('age')) await assertOpens(ctx.keys.identity(), manifest.recipients);
  await refuseNoRoom(manifest, dir, dir);
}

/** The DC of a proof: a name that the domain has not, in a site that it has. */
function proofDc({ baseline: recorded }: Manifest): NewDc {
  const baseline = readBaseline(recorded);
  const sites = baseline?.sites ?? [];
  const site = sites.includes(DEFAULT_SITE) ? undefined : sites[0];
  return { name: throwAway((baseline?.dcs ?? []).map(({ name }) => name)), ...(site === undefined ? {} : { site }) };
}

async function unpack(ctx: Context, tools: Tools, request: ProofRequest, to: string): Promise<Trial[]> {
  const temp = join(request.dir, 't');
  await mkdir(temp, { mode: 0o700 });
  await mkdir(to, { mode: 0o700 });
  const began = ctx.clock.now().getTime();
  try {
    const tar = await fetchTar(request.manifest, request.read, join(request.dir, 'domain.tar'));
    const dc = proofDc(request.manifest);
    const { warnings, differs } = await bringBack(ctx, tools, tar, to, dc, temp);
    const seconds = Math.round((ctx.clock.now().getTime() - began) / 100) / 10;
    const text = `${formatBytes(tarBytes(request.manifest))}, restored by samba-tool as DC ${dc.name}`;
    return [
      { name: 'unpack', state: 'ok', text, seconds },
      ...[...warnings, ...differs].map((each): Trial => ({ name: 'unpack', state: 'note', text: each })),
    ];
  } catch (error) {
    ctx.signal.throwIfAborted();
    return [judged('unpack', error)];
  }
}

/**
 * Restores a domain under a throw-away name and tries it: dbcheck, accounts and sysvol as they were counted, every path; and started apart
 * from every network a Kerberos ticket, an LDAP search and sysvol over SMB.
 * @throws BkpError('storeUnreachable') when the store falls silent; the signal's reason
 */
export async function* prove(ctx: Context, request: ProofRequest): AsyncGenerator<Trial> {
  const site = await openSite(ctx, 'local');
  try {
    let tools: Tools;
    try {
      tools = await findTools(site, ctx.config.bin);
      await preflight(ctx, tools, request);
    } catch (error) {
      ctx.signal.throwIfAborted();
      const trial = judged('preflight', error);
      yield error instanceof BkpError && error.exit === 'failed' ? { ...trial, state: 'unproven', mend: error.next[0] ?? '' } : trial;
      return;
    }
    const to = join(request.dir, 'd');
    const unpacked = await unpack(ctx, tools, request, to);
    yield* unpacked;
    if (unpacked[0]?.state !== 'ok') return;
    request.enter?.('prove');
    yield* inspectCopy(ctx, tools, request.manifest, to, join(request.dir, 't'));
    yield* await drill(ctx, tools, request, { to, name: proofDc(request.manifest).name });
  } finally {
    await site.close();
  }
}
