import type { ProofRequest, Trial } from '../../../core/contracts.ts';
import { type Check, isGet, judgeCount, nameOf } from './checks.ts';
import type { Context } from './config.ts';
import { checkState, countPrefix, type StateFacts } from './k3s/sqlite.ts';
import type { Contents, Here } from './pieces.ts';
import { type Found, trial } from './proveTrial.ts';

/** Objects of a K3s on SQLite have the same keys, and no kube-apiserver reads them there. */
const unasked = (check: Check): Found => ({
  state: 'unproven',
  text: 'the copy is a SQLite database, which only K3s itself serves',
  mend: `ask for its keys: \`prefix: /registry/…\` instead of \`get: ${check.get}\``,
});

/** Looks through the database of a K3s on SQLite, asks for the keys of the entry's checks, and writes to it within a transaction. */
export async function* sqliteTrials(ctx: Context, { manifest }: Contents, here: Here, { enter }: ProofRequest): AsyncGenerator<Trial> {
  enter?.('prove');
  const recorded = manifest.baseline as unknown as StateFacts;
  yield await trial(ctx, 'baseline', async () => {
    const { revision, keys } = await checkState(ctx, here.file);
    return revision === recorded.revision && keys === recorded.keys
      ? { state: 'ok', text: `every page and index is whole; ${keys} keys at revision ${revision}` }
      : {
          state: 'fail',
          text: `the copy has ${keys} keys at revision ${revision}, and ${recorded.keys} at ${recorded.revision} were recorded`,
        };
  });
  for (const check of ctx.config.checks)
    yield await trial(ctx, nameOf(check), async () =>
      isGet(check) ? unasked(check) : judgeCount(check, await countPrefix(ctx, here.file, check.prefix ?? '')),
    );
  yield await trial(ctx, 'write', async () => {
    await checkState(ctx, here.file, db =>
      db.exec('begin immediate; create table bkp_proof (n); insert into bkp_proof values (1); rollback'),
    );
    return { state: 'ok', text: 'a row was written' };
  });
}
