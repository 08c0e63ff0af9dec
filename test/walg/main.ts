import { type Args, readArgs, unknownCommand } from './args.ts';
import { killChildren } from './child.ts';
import { lazyCodec } from './codec.ts';
import { hasFault } from './faults.ts';
import { openFolder } from './folder.ts';
import { Fatal, fatal, log } from './log.ts';
import type { Run } from './run.ts';
import { dropScratch } from './scratch.ts';
import { readSettings, type Settings } from './settings.ts';

const words = process.argv.slice(2);

/** Each command's file is read when it is asked for: wal-fetch runs once a segment. */
const COMMANDS: Readonly<Record<string, () => Promise<(run: Run) => Promise<void>>>> = {
  'backup-push': async () => (await import('./push.ts')).backupPush,
  'backup-fetch': async () => (await import('./fetch.ts')).backupFetch,
  'backup-list': async () => {
    const { backupList } = await import('./list.ts');
    return ({ folder, args }) => backupList(folder, args);
  },
  'backup-mark': async () => {
    const { backupMark } = await import('./mark.ts');
    return ({ folder, args }) => backupMark(folder, args);
  },
  'wal-push': async () => (await import('./wal.ts')).walPush,
  'wal-fetch': async () => (await import('./wal.ts')).walFetch,
  'wal-receive': async () => (await import('./receive.ts')).walReceive,
  'wal-show': async () => (await import('./show.ts')).walShow,
  'wal-verify': async () => (await import('./verify.ts')).walVerify,
  delete: async () => (await import('./delete.ts')).deleteCommand,
  st: async () => (await import('./st.ts')).storageTools,
};

/** What a careless library might say. */
function echo(settings: Settings): never {
  const [secret, password] = ['AWS_SECRET_ACCESS_KEY', 'PGPASSWORD'].map(name => settings.get(name) ?? '');
  return fatal(`SignatureDoesNotMatch: the request signed with secret "${secret}" for "postgres://user:${password}@host" does not match`);
}

async function run(args: Args): Promise<void> {
  if (args.command === 'copy') return (await import('./copy.ts')).copy(args);
  const load = COMMANDS[args.command] ?? unknownCommand(args.command);
  const settings = readSettings(args.settings, args.value('config'));
  process.env['WALG_PG_WAL_SIZE'] = settings.get('WALG_PG_WAL_SIZE');
  if (hasFault('secret-echo')) echo(settings);
  const folder = openFolder(settings);
  const codec = lazyCodec(settings);
  await (await load())({ args, settings, folder, codec });
}

function end(code: number): never {
  killChildren();
  dropScratch();
  process.exit(code);
}

const NAMES: Readonly<Record<string, string>> = { SIGINT: 'interrupt', SIGTERM: 'terminated', SIGHUP: 'hangup' };

/** The server ends a backup whose connection is gone; WAL-G ends with 1, not by the signal. */
function onSignal(signal: string): void {
  if (!words.includes('backup-push')) {
    log.error('context canceled');
    end(1);
  }
  log.error(`Error: received interruption signal: ${NAMES[signal] ?? signal}, gracefully stopping the running backup...`);
  log.error('Finished backup termination, will now exit');
  end(1);
}

for (const signal of Object.keys(NAMES)) process.on(signal, onSignal);
if (words.includes('--version')) {
  process.stdout.write('wal-g version v3.0.9\tstand-in\t2026.01.01_00:00:00\tPostgreSQL\n');
} else {
  try {
    await run(readArgs(words));
    dropScratch();
  } catch (error) {
    log.error((error as Error).message);
    end(error instanceof Fatal ? error.code : 1);
  }
}
