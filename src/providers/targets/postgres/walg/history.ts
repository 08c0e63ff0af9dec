import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { historyName } from '../../../../core/postgres/lsn.ts';
import { walStores } from '../archive.ts';
import { serverHistory } from '../serverPath.ts';
import type { Context } from './program.ts';
import { isThere, pushTo } from './push.ts';

/**
 * Archives the history of the server's timeline where a store lacks it: without it no restore finds the way from an older base to this one,
 * and a server that was promoted with archiving off never does so itself. A store that does not take it is a warning.
 */
export async function pushHistory(ctx: Context, lineage: string): Promise<void> {
  const { timeline, text } = await serverHistory(ctx);
  if (timeline === 1) return;
  const name = historyName(timeline);
  const dir = await ctx.scratch();
  const path = join(dir, name);
  await writeFile(path, text, { mode: 0o600 });
  for (const store of walStores(ctx)) {
    try {
      if (!(await isThere(ctx, store, lineage, name)))
        await pushTo(ctx, store, lineage, { name, path, dataDir: dir, segmentBytes: undefined });
    } catch (error) {
      if (error instanceof BkpError && error.exit === 'conflict') throw error;
      ctx.report.emit({ type: 'warning', text: `${name} is not in store ${store.name}: ${sentence(error)}` });
    }
  }
}
