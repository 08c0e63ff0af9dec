import type { LineageId, Store } from '../../../../core/contracts.ts';
import { knownLineages } from '../lineage.ts';
import { walgEnvironment } from './environment.ts';
import { prefixOf } from './layout.ts';
import { accessOf, type Context, told } from './program.ts';

/** Stands where nobody could say which lineage is the newest: that of the next backup, as a rule. */
const UNKNOWN = 'LINEAGE';

async function lineage(ctx: Context): Promise<LineageId | undefined> {
  const known = [...(await knownLineages(ctx)).values()];
  return known.sort((a, b) => a.createdAt.localeCompare(b.createdAt)).at(-1)?.lineage;
}

/** For `bkp config walg`: the same settings that bkp gives to WAL-G. */
export const walgProgram = {
  name: 'wal-g',
  lineage,
  settings: (ctx: Context, store: Store, of: LineageId | undefined) =>
    walgEnvironment({
      ...told(ctx, { server: true }),
      access: accessOf(store),
      prefix: prefixOf(ctx, of ?? UNKNOWN),
      caFile: '/etc/bkp/ca.pem',
    }),
};
