import type { Site } from '../../../../core/contracts.ts';
import { BkpError } from '../../../../core/errors.ts';
import { type Context, called } from '../config.ts';

export type Datastore = 'etcd' | 'sqlite';

/** Seconds since 1970 at which the youngest of some files was written; 0 when none is there. */
async function youngest(site: Site, paths: readonly string[]): Promise<number> {
  const script = 'for f do [ -e "$f" ] && stat -c %Y -- "$f"; done; true';
  const { stdout } = await site.text({ file: 'sh', args: ['-c', script, 'sh', ...paths] });
  return Math.max(0, ...stdout.trim().split('\n').map(Number));
}

/** Path of the SQLite datastore. */
export const statePath = ({ config: { k3s } }: Context): string => `${k3s.dataDir}/server/db/state.db`;

/**
 * What K3s keeps its data in. A change from one to the other leaves the old one behind, so the one written last counts.
 * @throws BkpError('failed') when there is neither
 */
export async function datastoreOf(ctx: Context, site: Site): Promise<Datastore> {
  const { datastore, dataDir } = ctx.config.k3s;
  if (datastore !== 'auto') return datastore;
  const member = `${dataDir}/server/db/etcd/member`;
  const logs = (await site.names(`${member}/wal`)).map(name => `${member}/wal/${name}`);
  const etcd = await youngest(site, [`${member}/snap/db`, ...logs]);
  const sqlite = await youngest(site, [statePath(ctx), `${statePath(ctx)}-wal`]);
  if (etcd === 0 && sqlite === 0)
    throw new BkpError('failed', `${called(ctx)}: ${dataDir}/server/db on ${site.name} holds neither etcd nor state.db`, {
      next: [
        'run bkp on a server node, as root',
        '`k3s: { dataDir: DIR }` where K3s has another one; an external datastore is backed up by its own target',
      ],
    });
  const found = etcd >= sqlite ? 'etcd' : 'sqlite';
  if (etcd > 0 && sqlite > 0)
    ctx.report.emit({
      type: 'note',
      text: `${called(ctx)}: both etcd and state.db are there; ${found} was written last and is taken (k3s.datastore says it outright)`,
    });
  return found;
}
