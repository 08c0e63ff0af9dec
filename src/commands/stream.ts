import { Command } from 'commander';
import { BkpError } from '../core/errors.ts';
import type { Run } from './session.ts';

/** `bkp stream <target> [name]`: runs until it is told to stop. */
export const streamCommand = (run: Run): Command =>
  new Command('stream')
    .description('ship the log (WAL) of a target to its stores as it is written, until stopped')
    .argument('<target>', 'kind of target, e.g. postgres')
    .argument('[name]', 'entry of that kind')
    .option('--new-lineage', 'the cluster was created anew, or WAL was lost: begin a history of its own')
    .action((kind: string, name: string | undefined, flags: { newLineage?: boolean }) =>
      run(async session => {
        const { target, ctx } = session.app.target(session.options.env, kind, name);
        if (!target.stream) throw new BkpError('usage', `${kind} has no log to stream`);
        await target.stream(ctx, { newLineage: flags.newLineage ?? false });
        session.signal.throwIfAborted();
        return 'done';
      }),
    );
