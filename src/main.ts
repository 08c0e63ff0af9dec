import { Command, CommanderError } from 'commander';
import { about } from './about.ts';
import type { GlobalOptions } from './app.ts';
import { backupCommand } from './commands/backup.ts';
import { completionCommands } from './commands/completion/index.ts';
import { type ConfigDeps, configCommand } from './commands/config.ts';
import { costCommand } from './commands/cost.ts';
import { coverageCommand } from './commands/coverage.ts';
import { doctorCommand } from './commands/doctor.ts';
import { drillCommand } from './commands/drill.ts';
import { addHelp } from './commands/help.ts';
import { holdCommand } from './commands/hold.ts';
import { type InitDeps, initCommand } from './commands/init.ts';
import { type KeygenDeps, keygenCommand } from './commands/keygen.ts';
import { kitCommand } from './commands/kit/index.ts';
import { listCommand } from './commands/list.ts';
import { locksCommand } from './commands/locks.ts';
import { notifyCommand } from './commands/notify.ts';
import { pointsCommand } from './commands/points.ts';
import { pruneCommand } from './commands/prune.ts';
import type { RenderDeps } from './commands/render/deps.ts';
import { renderCommand } from './commands/render.ts';
import { reportCommand } from './commands/report.ts';
import { restoreCommand } from './commands/restore.ts';
import { type BareRun, type BareSession, EXIT_HELP, type Run, type Session } from './commands/session.ts';
import { statusCommand } from './commands/status.ts';
import { streamCommand } from './commands/stream.ts';
import { verifyCommand } from './commands/verify.ts';
import { type VersionDeps, versionCommand } from './commands/version.ts';
import { walCommand } from './commands/wal.ts';
import type { Reporter } from './core/contracts.ts';
import { BkpError, EXIT, type ExitName, sentence } from './core/errors.ts';
import { fitted, terminalWidth, wrapWords } from './report/table.ts';

let exit: number = EXIT.failed;
/** A code that a command chose itself: `wal fetch` speaks PostgreSQL's language. */
let forced: number | undefined;
/** What becomes of a code on its way out: an archiving command of PostgreSQL has others. */
let spoken = (code: number): number => code;
/** With what the process ends, as far as is known. */
const ending = (): number => spoken(forced ?? exit);
let redactText = (text: string): string => text;

const out = (text: string): void => void process.stdout.write(`${redactText(text)}\n`);
const err = (text: string): void => void process.stderr.write(`${redactText(text)}\n`);

const abort = new AbortController();
for (const [signal, name] of [
  ['SIGINT', 'interrupted'],
  ['SIGTERM', 'terminated'],
] as const) {
  process.on(signal, () => abort.abort(new BkpError(name, `ended by ${signal}: nothing of this run counts as done`)));
}
/** Why something could not be shown, as on a full disk: the work goes on to its end, which is not "done" then. */
let unsaid: Error | undefined;
// A reader that has seen enough (`bkp list | head`) is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', error => {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') unsaid ??= error;
  });
}
const written = (): Promise<void> => new Promise(done => process.stdout.write('', () => done()));

async function reporterFor(options: GlobalOptions): Promise<Reporter & { close?(): void }> {
  const { systemClock } = await import('./system/clock.ts');
  if (options.json) {
    const { JsonReporter } = await import('./report/json.ts');
    return new JsonReporter(out, systemClock);
  }
  const { TextReporter } = await import('./report/text.ts');
  const color = options.color !== false && !process.env['NO_COLOR'] && process.stderr.isTTY === true;
  return new TextReporter({
    stream: process.stderr,
    ora: process.stderr.isTTY ? (await import('ora')).default : undefined,
    clock: systemClock,
    color,
    quiet: options.quiet ?? false,
    redact: text => redactText(text),
  });
}

/** What stands under each help: the exit codes, as wide as the terminal. */
const exitHelp = ({ error }: { error: boolean }): string => {
  const { columns } = error ? process.stderr : process.stdout;
  return `\n${wrapWords(EXIT_HELP.trim().replace(/\s+/g, ' '), columns || 80)}`;
};

/** The sentence, what to do next, and how the process ends. */
function fail(error: unknown, options: GlobalOptions): void {
  const known = error instanceof BkpError ? error : undefined;
  const code: ExitName = known?.exit ?? 'failed';
  exit = EXIT[code];
  if (options.json) out(JSON.stringify({ type: 'error', code, exit: ending(), message: sentence(error), next: known?.next ?? [] }));
  err(fitted(`bkp: ${sentence(error)}`, terminalWidth(process.stderr)));
  for (const line of known?.next ?? []) err(`  → ${line}`);
  if (options.verbose && error instanceof Error)
    err(`${error.stack}${error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : ''}`);
}

/** commander has printed its own words by now; with --json they are said once more, as an object. */
function misused(error: CommanderError, options: GlobalOptions): void {
  exit = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (options.json && exit !== EXIT.done)
    out(JSON.stringify({ type: 'error', code: 'usage', exit: ending(), message: error.message.replace(/^error: /, ''), next: [] }));
}

/** Runs an action that may need no config. */
const bareRunnerFor =
  (program: Command): BareRun =>
  async action => {
    const options = program.opts<GlobalOptions>();
    const report = await reporterFor(options);
    const { redact } = await import('./app.ts');
    redactText = redact;
    const session: BareSession = {
      options,
      report,
      signal: abort.signal,
      version: about().version,
      result(json, text) {
        report.close?.();
        if (options.json) out(JSON.stringify({ type: 'result', ...json }));
        else if (text.length > 0) out(text.map(line => fitted(line, terminalWidth())).join('\n'));
      },
    };
    try {
      exit = EXIT[await action(session)];
    } finally {
      report.close?.();
    }
  };

const runnerFor =
  (program: Command): Run =>
  (action, task) =>
    bareRunnerFor(program)(async bare => {
      const { App } = await import('./app.ts');
      const app = await App.open(bare.options, bare.report, bare.signal);
      const session: Session = { ...bare, app, outcome() {} };
      try {
        return task ? await (await import('./commands/telling.ts')).telling(session, task, action) : await action(session);
      } finally {
        await app.close();
      }
    });

const keygenDeps = (program: Command): KeygenDeps => ({
  json: () => program.opts<GlobalOptions>().json ?? false,
  out,
  err,
  done: () => {
    exit = EXIT.done;
  },
});

async function initDeps(program: Command): Promise<InitDeps> {
  const { registry } = await import('./app.ts');
  const { systemRunner } = await import('./system/runner.ts');
  return { ...keygenDeps(program), registry, run: systemRunner };
}
const versionDeps: VersionDeps = {
  about,
  runner: async () => (await import('./system/runner.ts')).systemRunner,
  postgresql: async () => (await import('./providers/targets/postgres/tools.ts')).debianDirs(),
};

async function configDeps(program: Command): Promise<ConfigDeps> {
  const { redact, registry, source } = await import('./app.ts');
  const { readConfig } = await import('./system/secrets.ts');
  redactText = redact;
  const options = program.opts<GlobalOptions>();
  return {
    load: () => readConfig(options.config),
    registry,
    source,
    json: () => options.json ?? false,
    out: line => {
      out(line);
      exit = EXIT.done;
    },
  };
}

async function renderDeps(program: Command): Promise<RenderDeps> {
  const { App, redact, registry } = await import('./app.ts');
  const { readConfig } = await import('./system/secrets.ts');
  redactText = redact;
  const options = program.opts<GlobalOptions>();
  const report = await reporterFor(options);
  return {
    load: () => readConfig(options.config),
    registry,
    version: about().version,
    env: options.env,
    json: () => options.json ?? false,
    out: line => {
      out(line);
      exit = EXIT.done;
    },
    warn: text => report.emit({ type: 'warning', text }),
    shown: (config, env, kind, name) => new App(config, '', report, abort.signal).target(env, kind, name, { shown: true }),
  };
}

/** `bkp wal push`: a command with the names of those above it. */
const fullName = (command: Command): string => (command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name());

/** The whole program, every command with its help. Nothing of it has run yet. */
export function build(): Command {
  const program = new Command('bkp')
    .description('backs up, restores and proves the restore of what a platform would lose')
    .version(about().version)
    .option('--config <file>', 'config file; else BKP_CONFIG, ./bkp.yaml, $XDG_CONFIG_HOME/bkp/bkp.yaml, /etc/bkp/bkp.yaml')
    .option('--env <name>', 'environment of the config')
    .option('--json', 'one JSON object per line; the last is the result')
    .option('--quiet', 'warnings and errors only')
    .option('--verbose', 'with the stack of an error')
    .option('--no-color', 'no colours (NO_COLOR does the same)');
  const run = runnerFor(program);
  const end = (code: number, error?: unknown): void => {
    forced = code;
    if (error) fail(error, program.opts<GlobalOptions>());
  };
  const [completion, complete] = completionCommands({ ...keygenDeps(program), program });
  const commands = [
    backupCommand(run),
    restoreCommand(run),
    listCommand(run),
    pointsCommand(run),
    statusCommand(run),
    streamCommand(run),
    walCommand(run, end),
    pruneCommand(run),
    holdCommand(run),
    locksCommand(run),
    verifyCommand(run),
    drillCommand(run),
    reportCommand(run),
    doctorCommand(run),
    coverageCommand(run),
    costCommand(run),
    notifyCommand(run),
    configCommand(() => configDeps(program), run),
    renderCommand(() => renderDeps(program)),
    keygenCommand(run, keygenDeps(program)),
    initCommand(() => initDeps(program)),
    kitCommand(run, bareRunnerFor(program)),
    completion!,
    versionCommand(bareRunnerFor(program), versionDeps),
  ];
  for (const command of commands) program.addCommand(command);
  program.addCommand(complete!, { hidden: true });
  for (const command of [program, ...commands].filter(each => each.commands.length > 0)) addHelp(command, keygenDeps(program).done);
  for (const command of [program, ...commands, ...commands.flatMap(each => each.commands)])
    command
      .addHelpText('after', exitHelp)
      .exitOverride()
      .showHelpAfterError(`  → ${fullName(command)} --help`);
  return program;
}

/** A signal's own words, with what the work that it ended leaves behind. */
const ended = (reason: BkpError, error: unknown): BkpError =>
  error instanceof BkpError && error !== reason ? new BkpError(reason.exit, reason.message, { next: error.next, cause: error }) : reason;

/**
 * Runs one command line.
 * @param argv as `process.argv`
 * @param toCaller what the caller of the process makes of an exit code
 * @returns the exit code, as the caller wants it
 */
export async function main(argv: readonly string[], toCaller: typeof spoken = code => code): Promise<number> {
  spoken = toCaller;
  const program = build();
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError) misused(error, program.opts<GlobalOptions>());
    else fail(abort.signal.aborted ? ended(abort.signal.reason, error) : error, program.opts<GlobalOptions>());
  }
  await written();
  if (unsaid && exit === EXIT.done)
    fail(new BkpError('failed', `what this run had to say could not be written: ${unsaid.message}`), program.opts<GlobalOptions>());
  return ending();
}
