import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { BkpError, sentence } from '../core/errors.ts';
import type { Run, Session } from './session.ts';

/** PostgreSQL reads 1–125 as "there is no more WAL" and may promote; above, it stops. */
const STOP = 255;
const END_OF_WAL = 74;

const logOf = (session: Session, name: string) => {
  const { target, ctx } = session.app.target(session.options.env, 'postgres', name);
  if (!target.log) throw new BkpError('usage', `${ctx.kind} has no log`);
  return { log: target.log, ctx };
};

/** @returns the exit code for PostgreSQL */
async function fetch(session: Session, name: string, file: string, path: string): Promise<number> {
  const { log, ctx } = logOf(session, name);
  const plain = await log.fetch(ctx, file, process.cwd());
  session.signal.throwIfAborted();
  if (plain === undefined) return END_OF_WAL;
  await writeFile(path, plain, { mode: 0o600 });
  if (await log.ahead?.wanted(ctx, file, process.cwd())) session.app.apart(['wal', 'ahead', name, file], session.options);
  return 0;
}

/** `bkp wal push` is an archive_command, `bkp wal fetch` a restore_command; both run in the data directory. */
export const walCommand = (run: Run, end: (code: number, error?: unknown) => void): Command => {
  const wal = new Command('wal').description('archive_command and restore_command of PostgreSQL');
  wal
    .command('push')
    .description('archive one file: archive_command = \'bkp wal push NAME "%f" "%p"\'')
    .argument('<name>', 'entry of postgres')
    .argument('<file>', '%f')
    .argument('<path>', '%p')
    .action((name: string, file: string, path: string) =>
      run(async session => {
        const { log, ctx } = logOf(session, name);
        await log.push(ctx, file, path, process.cwd());
        return 'done';
      }),
    );
  wal
    .command('fetch')
    .description('hand out one file: restore_command = \'bkp wal fetch NAME "%f" "%p"\'; 74 = the proven end, 255 = anything else')
    .argument('<name>', 'entry of postgres')
    .argument('<file>', '%f')
    .argument('<path>', '%p')
    .action((name: string, file: string, path: string) =>
      run(async session => {
        try {
          end(await fetch(session, name, file, path));
        } catch (error) {
          end(STOP, new Error(`WAL ${file} could not be fetched: ${sentence(error)}`, { cause: error }));
        }
        return 'done';
      }),
    );
  wal
    .command('ahead', { hidden: true })
    .description('read ahead for `wal fetch`, until nothing is asked any more')
    .argument('<name>', 'entry of postgres')
    .argument('<file>', 'the file that was handed out last')
    .action((name: string, file: string) =>
      run(async session => {
        const { log, ctx } = logOf(session, name);
        await log.ahead?.run(ctx, file, process.cwd());
        return 'done';
      }),
    );
  return wal;
};
