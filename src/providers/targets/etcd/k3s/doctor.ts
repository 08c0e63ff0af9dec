import { Cron } from 'croner';
import type { Check, Site } from '../../../../core/contracts.ts';
import { sentence } from '../../../../core/errors.ts';
import type { Context } from '../config.ts';
import { told } from '../take.ts';
import { k3sProgram, k3sVersion } from './command.ts';
import { datastoreOf } from './datastore.ts';
import { listed } from './save.ts';
import { type Settings, settings } from './settings.ts';
import { fingerprint, readToken, refuseOpen, tokenPath } from './token.ts';

/** K3s's own defaults (its documentation of `etcd-snapshot-retention` and `-schedule-cron`). */
const RETENTION = 5;
const SCHEDULE = '0 */12 * * *';
/** bkp has to look at the node at least this often, whatever its own schedule: its default one. */
const LOOKS_EVERY_MS = 12 * 3_600_000;

/** How long K3s keeps a snapshot of its own: as many runs of its schedule as it retains. */
export function keptMs(schedule: string, retention: number, now: Date): number {
  const runs = new Cron(schedule, { timezone: 'UTC' }).nextRuns(retention + 1, now);
  return (runs.at(-1)?.getTime() ?? now.getTime()) - (runs[0]?.getTime() ?? now.getTime());
}

/** Whether each scheduled snapshot lives until bkp has seen it. Pure. */
export function retentionCheck(found: Settings, now: Date): Check {
  const name = "K3s's own snapshots";
  if (found['etcd-disable-snapshots'] === true)
    return {
      name,
      state: 'warn',
      text: 'etcd-disable-snapshots is on: nothing is taken between the backups of bkp',
      mend: 'remove it from config.yaml',
    };
  const retention = Number(found['etcd-snapshot-retention'] ?? RETENTION);
  const schedule = String(found['etcd-snapshot-schedule-cron'] ?? SCHEDULE);
  try {
    const kept = keptMs(schedule, retention, now);
    const text = `${retention} kept, taken at "${schedule}": each stays ${Math.round(kept / 360_000) / 10} h`;
    if (kept < 2 * LOOKS_EVERY_MS)
      return {
        name,
        state: 'warn',
        text: `${text}, so some are gone before bkp looks`,
        mend: `etcd-snapshot-retention: ${Math.ceil((retention * 2 * LOOKS_EVERY_MS) / Math.max(kept, 1))}   # in config.yaml`,
      };
    return { name, state: 'ok', text };
  } catch (error) {
    return {
      name,
      state: 'warn',
      text: `schedule "${schedule}" cannot be read: ${sentence(error)}`,
      mend: 'etcd-snapshot-schedule-cron: "0 */12 * * *"',
    };
  }
}

async function check(name: string, mend: string, work: () => Promise<string>): Promise<Check> {
  try {
    return { name, state: 'ok', text: await work() };
  } catch (error) {
    return { name, state: 'fail', text: told(error), mend };
  }
}

async function* etcdChecks(ctx: Context, site: Site, k3s: string): AsyncGenerator<Check> {
  yield await check('k3s etcd-snapshot', 'systemctl status k3s', async () => `${(await listed(ctx, site, k3s)).length} snapshot(s) listed`);
  let found: Settings;
  try {
    found = await settings(ctx, site);
  } catch (error) {
    yield { name: "K3s's own snapshots", state: 'warn', text: told(error), mend: `look at ${ctx.config.k3s.configDir}/config.yaml` };
    return;
  }
  if (ctx.config.k3s.adopt) yield retentionCheck(found, ctx.clock.now());
  if (found['etcd-s3'] === true)
    yield {
      name: 'etcd-s3',
      state: 'warn',
      text: 'K3s also uploads by itself, and its retention there counts the snapshots of all nodes and every name that begins alike',
      mend: 'leave the uploads to bkp: etcd-s3: false',
    };
}

/** Everything that the backup of a K3s needs on its server node. */
export async function* k3sChecks(ctx: Context, site: Site): AsyncGenerator<Check> {
  let k3s: string;
  try {
    k3s = await k3sProgram(ctx, site);
    yield { name: 'k3s', state: 'ok', text: `${await k3sVersion(site, k3s)} on ${site.name}` };
  } catch (error) {
    yield { name: 'k3s', state: 'fail', text: told(error), mend: '`bin: [DIR]`, or `flavor: etcd`' };
    return;
  }
  yield await check('server token', 'run bkp as root there', async () => `${tokenPath(ctx)} (${fingerprint(await readToken(ctx, site))})`);
  yield await check('token is encrypted', '`keys.recipients:` in the config (bkp keygen)', async () => {
    refuseOpen(ctx);
    return ctx.keys.recipients.length > 0 ? 'backups are encrypted' : 'allowed to lie open by allowUnencryptedToken';
  });
  let datastore: string | undefined;
  yield await check('datastore', '`k3s: { dataDir: DIR }`', async () => {
    datastore = await datastoreOf(ctx, site);
    return datastore;
  });
  if (datastore === 'etcd') yield* etcdChecks(ctx, site, k3s);
}
