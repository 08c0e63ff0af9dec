import { chmod, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatAge } from '../../../core/age.ts';
import { chooseBackup } from '../../../core/choose.ts';
import type { Bytes, Id, Known, PieceRef, Reached, RestoreRequest, Store, TargetContext, Trial } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { pasted } from '../../../core/shell.ts';
import { formatBytes } from '../../../core/size.ts';
import { assertOpens } from '../../../flow/age.ts';
import { complete, exists, occupy } from '../../../flow/place.ts';
import { openSite } from '../../../flow/site/index.ts';
import { inspectCopy } from './after.ts';
import { addressesOf, refuseLive } from './alive.ts';
import { type Baseline, readBaseline } from './baseline.ts';
import { type Brought, bringBack, fetchTar } from './bring.ts';
import type { SambaConfig } from './config.ts';
import { type NewDc, newDc } from './names.ts';
import { confOf } from './paths.ts';
import { closedAbove, inspect, refuseNoRoom, refuseUnprivileged, refuseUnwritable, tarBytes } from './place.ts';
import { findTools, type Tools } from './tools.ts';
import { refuseOlder } from './version.ts';

type Context = TargetContext<SambaConfig>;

/** All that is known before anything changes. */
interface Plan {
  known: Known;
  baseline: Baseline;
  dc: NewDc;
  /** What is at the place is moved aside. */
  aside: boolean;
}

function baselineOf({ manifest }: Known): Baseline {
  const baseline = readBaseline(manifest.baseline);
  if (baseline) return baseline;
  throw new BkpError('verifyFailed', `the manifest of backup ${manifest.id} does not say which DCs the domain had`);
}

function planned(ctx: Context, request: RestoreRequest, known: readonly Known[]): Omit<Plan, 'aside'> {
  refuseUnwritable(request.to);
  refuseUnprivileged();
  const chosen = chooseBackup(known, request.want, `samba/${ctx.name}`, ctx.clock.now());
  const baseline = baselineOf(chosen);
  const dc = newDc(request.options ?? {}, baseline, chosen.manifest.identity['netbios'] ?? '', ctx.config.site);
  return { known: chosen, baseline, dc };
}

function told(ctx: Context, request: RestoreRequest, { known: { manifest }, baseline, dc, aside }: Plan): string[] {
  return [
    `samba/${ctx.name} of ${ctx.env} → ${request.to}`,
    `backup ${manifest.id} (${baseline.mode}), of ${manifest.recoveryPointAt} (${formatAge(new Date(manifest.recoveryPointAt), ctx.clock.now())}), Samba ${manifest.versions['server']}, ${formatBytes(tarBytes(manifest))}`,
    `domain ${manifest.identity['realm']} (${manifest.identity['netbios']}) comes back on one new DC, ${dc.name}${dc.site ? ` in site ${dc.site}` : ''}; its DCs ${baseline.dcs.map(each => each.name).join(', ')} are taken out of it`,
    ...(aside ? [`what is in ${request.to} now is moved aside, not removed`] : []),
    ...manifest.warnings.map(text => `warning of that backup: ${text}`),
  ];
}

/** Removes what the restore itself has made. */
async function clear(to: string, wasThere: boolean): Promise<void> {
  for (const name of await readdir(to)) await rm(join(to, name), { recursive: true, force: true });
  if (!wasThere) await rmdir(to);
}

/** How the restored DC is put to work, in the order in which it is typed. */
function nextSteps(to: string, dc: NewDc, baseline: Baseline, manifest: Known['manifest'], absent: readonly string[]): string[] {
  return [
    ...absent,
    `the host is to be called ${dc.name.toLowerCase()}, and its resolver to ask itself: hostnamectl set-hostname ${dc.name.toLowerCase()}`,
    `look at ${confOf(to)} (interfaces, dns forwarder, shares); then: samba -D -s ${pasted(confOf(to))}`,
    ...(baseline.hardLinks.length > 0
      ? [`its DNS was BIND9_DLZ: samba_upgradedns --dns-backend=BIND9_DLZ -s ${pasted(confOf(to))} makes its files anew`]
      : []),
    baseline.dns
      ? `DNS: point clients at ${dc.hostIp ?? 'this host'}; samba_dnsupdate enters ${dc.name} once samba runs`
      : `DNS is kept elsewhere: enter there what ${to}/private/dns_update_list names for ${dc.name}, and take the old DCs out`,
    `never start ${baseline.dcs.map(each => each.name).join(', ')} again: join new DCs to this one (samba-tool domain join ${manifest.identity['realm']} DC)`,
    'passwords are those of the time of the backup; tickets from before are void, and computers that changed theirs since have to rejoin',
  ];
}

async function refuseUnfit(ctx: Context, request: RestoreRequest, plan: Omit<Plan, 'aside'>, tools: Tools, temp: string): Promise<boolean> {
  const { manifest } = plan.known;
  await refuseOlder(tools, manifest.versions['server']);
  const aside = await inspect(ctx, request.to, request.force);
  if (manifest.line.includes('age')) await assertOpens(ctx.keys.identity(), manifest.recipients);
  await refuseNoRoom(manifest, request.to, temp);
  if (request.options?.['beside-live-dc'] === undefined) await refuseLive(addressesOf(plan.baseline, ctx.config.server));
  return aside;
}

/** What the checks of a restored domain found wrong; the domain stays where it is. */
function refuseFaulty(trials: readonly Trial[], to: string): void {
  const faults = trials.filter(({ state }) => state === 'fail' || state === 'unproven');
  if (faults.length === 0) return;
  throw new BkpError(
    'verifyFailed',
    `the domain is in ${to}, and is not what was backed up: ${faults.map(({ name, text }) => `(${name}) ${text}`).join('; ')}`,
    {
      next: ['restore another backup elsewhere and compare: bkp list samba', 'nothing was removed; decide before you start it'],
    },
  );
}

/**
 * Restores a domain into an empty directory, on one new DC that is not started.
 * @returns undefined after a dry run
 * @throws BkpError('refused' | 'usage' | 'notFound') before anything changes; 'failed' leaves nothing of the restore behind; 'verifyFailed' after
 * the restore leaves it, since it may be all that there is
 */
export async function restore(
  ctx: Context,
  request: RestoreRequest,
  known: readonly Known[],
  read: (piece: PieceRef, from: readonly Store[]) => Bytes,
  begin: (id: Id) => Promise<void> = async () => {},
): Promise<Reached | undefined> {
  const site = await openSite(ctx, 'local');
  try {
    const part = planned(ctx, request, known);
    const tools = await findTools(site, ctx.config.bin);
    const temp = await site.dir();
    const plan: Plan = { ...part, aside: await refuseUnfit(ctx, request, part, tools, temp) };
    const lines = told(ctx, request, plan);
    if (request.dryRun) {
      for (const text of lines) ctx.report.emit({ type: 'note', text });
      return undefined;
    }
    await request.confirm(lines);
    await begin(plan.known.manifest.id);
    return await perform(ctx, request, plan, tools, temp, read);
  } finally {
    await site.close();
  }
}

async function perform(
  ctx: Context,
  request: RestoreRequest,
  plan: Plan,
  tools: Tools,
  temp: string,
  read: (piece: PieceRef, from: readonly Store[]) => Bytes,
): Promise<Reached> {
  const { manifest, stores } = plan.known;
  const holders = ctx.stores.filter(store => stores.includes(store.name));
  ctx.report.emit({ type: 'started', what: `fetch ${manifest.id}` });
  const tar = await fetchTar(manifest, piece => read(piece, holders), join(temp, 'domain.tar'));
  const wasThere = (await exists(request.to)) && !plan.aside;
  const moved = await occupy(ctx, request.to, plan.aside, undefined);
  await complete(request.to);
  const asideTold = moved ? [`what was there before is in ${moved}`] : [];
  ctx.report.emit({ type: 'started', what: 'samba-tool domain backup restore' });
  let brought: Brought;
  try {
    brought = await bringBack(ctx, tools, tar, request.to, plan.dc, temp);
  } catch (error) {
    await clear(request.to, wasThere).catch(reason =>
      ctx.report.emit({ type: 'warning', text: `${request.to} stays half filled: ${sentence(reason)}` }),
    );
    if (moved) ctx.report.emit({ type: 'warning', text: asideTold[0]! });
    throw error;
  }
  await rm(tar.path);
  for (const text of [...brought.warnings, ...brought.differs]) ctx.report.emit({ type: 'warning', text });
  const trials: Trial[] = [];
  for await (const trial of inspectCopy(ctx, tools, manifest, request.to, temp)) {
    trials.push(trial);
    ctx.report.emit({ type: 'note', text: `${trial.name}: ${trial.text}` });
  }
  refuseFaulty(trials, request.to);
  // Secrets are files of mode 600; sysvol below is read by every account.
  await chmod(request.to, 0o755);
  await complete(request.to);
  const closed = await closedAbove(request.to);
  const absent = trials.filter(({ name, state }) => name === 'paths' && state === 'note').map(({ text }) => text);
  return {
    at: new Date(manifest.recoveryPointAt),
    facts: {
      backup: manifest.id,
      domain: manifest.identity['realm'],
      serverName: plan.dc.name,
      dir: request.to,
      ...(moved ? { movedAside: moved } : {}),
    },
    ...(brought.differs.length > 0 ? { differs: brought.differs } : {}),
    next: [
      ...asideTold,
      ...(closed === undefined ? [] : [`chmod o+x ${pasted(closed)}   # accounts of the domain read sysvol through it`]),
      ...nextSteps(request.to, plan.dc, plan.baseline, manifest, absent),
    ],
  };
}
