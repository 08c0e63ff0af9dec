import { randomBytes } from 'node:crypto';
import type { App } from '../../app.ts';
import { BkpError, type ExitName } from '../../core/errors.ts';
import type { Kit } from '../../ops/kit/open.ts';
import type { CheckEnd } from '../../ops/kit/record.ts';
import type { KitSource, OpenedTarget } from '../../ops/kit/source.ts';
import type { Tryout } from '../../ops/kit/tryout.ts';
import { formatAge, formatTable } from '../../report/format.ts';
import { type BareSession, worst } from '../session.ts';
import { type KeyFlags, openFile } from './key.ts';
import { sourceOf } from './platform.ts';

export interface CheckFlags extends KeyFlags {
  store?: string;
  deep?: boolean;
}

/** What `check` found beside the stores. `unknown` is what nobody could tell from here. */
interface Look {
  stale: string[];
  alarms: string[];
  unknown: string[];
  notes: string[];
  bad: string[];
}

/** What the host says of a kit, and how the end of the check gets on record there; absent without a config, or the key that signs. */
interface Host {
  look: Look;
  record?: (end: CheckEnd) => Promise<void>;
}

/** What the present config and cluster say of a kit, where there is one. */
async function besides(session: BareSession, kit: Kit): Promise<Host> {
  const look: Look = { stale: [], alarms: [], unknown: [], notes: [], bad: [] };
  const { App } = await import('../../app.ts');
  const app = await App.ifAny(session.options, session.report, session.signal);
  if (!app)
    return { look: { ...look, notes: ['there is no config on this host: what has changed since was not looked at, and no cluster was'] } };
  try {
    if (!app.config.environments[kit.meta.env])
      return { look: { ...look, stale: [`environment ${kit.meta.env} is no longer in ${app.config.file}`] } };
    await compare(await sourceOf(app, kit.meta.env, session), kit, look, session);
  } catch (error) {
    look.unknown.push(`the config of this host could not be compared: ${known(error, session).message}`);
  } finally {
    await app.close();
  }
  const record = await recorder(session, app, kit);
  return { look, ...(record ? { record } : {}) };
}

/** Made before the kit stands alone: it opens stores and key with what this host has, and nothing of that is there any more afterwards. */
async function recorder(session: BareSession, app: App, { meta }: Kit): Promise<Host['record']> {
  const { canSign, recordCheck } = await import('../../ops/kit/record.ts');
  try {
    const stack = app.stack(meta.env);
    if (!canSign(stack)) return undefined;
    return end => recordCheck({ stack, tool: `bkp ${session.version}`, random: randomBytes(3) }, meta, end);
  } catch (error) {
    session.report.emit({ type: 'note', text: `this check gets on record nowhere: ${known(error, session).message}` });
    return undefined;
  }
}

/** What a person can do something about; everything else goes on upwards. */
function known(error: unknown, session: BareSession): BkpError {
  session.signal.throwIfAborted();
  if (error instanceof BkpError) return error;
  throw error;
}

async function compare(source: KitSource, kit: Kit, look: Look, session: BareSession): Promise<void> {
  const { signatureOf, staleness, tooOld } = await import('../../ops/kit/stale.ts');
  const { ctx } = source.opened[0]!;
  const env = source.config.environments[source.env]!;
  const signed = signatureOf(kit, ctx.keys);
  if (signed.bad) look.bad.push(signed.bad);
  if (signed.note) look.notes.push(signed.note);
  const { stale, unknown } = await staleness(source, kit.meta, kit.files);
  const old = tooOld(kit.meta, env.kit.maxAge, ctx.clock.now());
  look.stale.push(...stale, ...(old ? [old] : []));
  if (unknown.length > 0) look.notes.push(`not on this host, so not compared: ${unknown.join(', ')}`);
  if (env.cluster) await askCluster(source, kit, look, session);
  else look.notes.push(`no cluster was looked at: name it by environments.${source.env}.cluster`);
}

async function askCluster(source: KitSource, kit: Kit, look: Look, session: BareSession): Promise<void> {
  const { clusterAlarms } = await import('../../ops/kit/cluster.ts');
  try {
    look.alarms.push(...(await clusterAlarms(source.opened, source.config.environments[source.env]!.cluster!, kit.meta)));
  } catch (error) {
    look.unknown.push(`the cluster could not be looked at: ${known(error, session).message}`);
  }
}

/** Whether the newest backup comes back. */
const restores = ({ state }: Tryout): boolean => state === 'ok' || state === 'partly';

/** One entry in the stores that are asked for. */
async function tried(each: OpenedTarget, session: BareSession, kit: Kit, flags: CheckFlags, look: Look): Promise<Tryout[]> {
  const { onlyNear } = await import('../../ops/kit/source.ts');
  const { tokensSince, tryTarget } = await import('../../ops/kit/tryout.ts');
  const within = (names: (name: string) => boolean) => ({
    ...each,
    ctx: { ...each.ctx, stores: each.ctx.stores.filter(({ name }) => names(name)) },
  });
  const asked = within(name => flags.store === undefined || name === flags.store);
  const near = onlyNear(each);
  if (near) look.notes.push(near);
  if (asked.ctx.stores.length === 0)
    look.notes.push(`${each.ctx.kind}/${each.ctx.name} is not in store ${flags.store}, and was not looked at`);
  const rows = await tryTarget(asked, { deep: flags.deep ?? false, random: () => randomBytes(8) });
  const good = within(name => rows.some(row => row.store === name && restores(row)));
  if (good.ctx.stores.length === 0) return rows;
  await tokensSince(good, kit.meta).then(
    stale => look.stale.push(...stale),
    error => look.bad.push(known(error, session).message),
  );
  return rows;
}

/** Every entry with what is in the kit and nothing else. */
async function alone(session: BareSession, kit: Kit, flags: CheckFlags, look: Look): Promise<Tryout[]> {
  const { App } = await import('../../app.ts');
  const { CONFIG } = await import('../../core/kit/types.ts');
  const app = await App.alone(kit.files.get(CONFIG)!.toString('utf8'), kit.files, session.report, session.signal);
  const rows: Tryout[] = [];
  try {
    for (const each of (await sourceOf(app, kit.meta.env, session)).opened) rows.push(...(await tried(each, session, kit, flags, look)));
  } finally {
    await app.close();
  }
  if (rows.length > 0) return rows;
  throw new BkpError('usage', `nothing in the kit has a store "${flags.store}"`, {
    next: `it has: ${Object.keys(kit.meta.storeKeys).join(', ')}`,
  });
}

/** Damage, and an entry that no store brings back, is worst; a store that is silent beside another, and older backups that stay shut, are less. */
function endOf(rows: readonly Tryout[], look: Look): ExitName {
  const targets = [...new Set(rows.map(({ target }) => target))];
  const lost = targets.some(target => !rows.some(row => row.target === target && restores(row)));
  return worst([
    lost || look.bad.length > 0 || rows.some(({ state }) => state === 'bad') ? 'verifyFailed' : 'done',
    look.stale.length + look.alarms.length > 0 ? 'unhealthy' : 'done',
    look.unknown.length > 0 || rows.some(({ state }) => state === 'silent' || state === 'partly') ? 'partial' : 'done',
  ]);
}

const WORD: Readonly<Record<Tryout['state'], string>> = { ok: 'ok', partly: 'PARTLY', bad: 'BAD', silent: 'SILENT' };

/** `bkp kit check`. */
export async function checkKit(session: BareSession, file: string, flags: CheckFlags): Promise<ExitName> {
  const kit = await openFile(file, flags, session);
  const { look, record } = await besides(session, kit);
  const rows = await alone(session, kit, flags, look);
  const end = endOf(rows, look);
  await record?.({ good: end === 'done', deep: flags.deep ?? false, tried: [...new Set(rows.map(({ store }) => store))] });
  const { id, env, madeAt } = kit.meta;
  session.result({ kit: id, env, madeAt, exit: end, stores: rows, ...look }, [
    `kit ${id} of ${env}, made ${formatAge(new Date(madeAt), new Date())}`,
    ...formatTable(
      ['STATE', 'TARGET', 'STORE', 'BACKUPS', 'BACKUP', 'WITH THE KIT ALONE'],
      rows.map(row => [WORD[row.state], row.target, row.store, String(row.backups), row.backup ?? '-', row.text]),
    ),
    ...look.bad.map(text => `BAD     ${text}`),
    ...look.alarms.map(text => `ALARM   ${text}`),
    ...look.stale.map(text => `STALE   ${text}`),
    ...look.unknown.map(text => `UNKNOWN ${text}`),
    ...look.notes.map(text => `note    ${text}`),
    end === 'done' ? 'everything comes back with this kit' : `the check ended with: ${end}`,
    ...(look.stale.length + look.alarms.length > 0 ? ['  → bkp kit export makes a new one'] : []),
  ]);
  return end;
}
