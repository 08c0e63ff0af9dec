import { Argument, Command } from 'commander';
import type { GlobalOptions } from '../../app.ts';
import { candidates } from './candidates.ts';
import { SCRIPTS, type Shell } from './scripts.ts';

/** What completion needs, which has to answer without a config, too. */
export interface CompletionDeps {
  program: Command;
  out(line: string): void;
  done(): void;
}

/** The options that the typed words give before the one that is being typed. */
const globals = (words: readonly string[]): GlobalOptions => {
  const after = (option: string): string | undefined => words[words.indexOf(option) + 1];
  return {
    ...(words.includes('--config') ? { config: after('--config')! } : {}),
    ...(words.includes('--env') ? { env: after('--env')! } : {}),
  };
};

async function complete(words: readonly string[], { program, out, done }: CompletionDeps): Promise<void> {
  const { App } = await import('../../app.ts');
  const { formatAge } = await import('../../report/format.ts');
  const { liveOf } = await import('./live.ts');
  const options = globals(words.slice(0, -1));
  const app = await App.open(options, { emit: () => {} }, new AbortController().signal).catch(() => undefined);
  const env = app && options.env !== undefined && !Object.hasOwn(app.config.environments, options.env) ? undefined : options.env;
  const found = await candidates(
    program,
    words,
    liveOf(app, env, at => formatAge(at, new Date())),
  ).catch(() => undefined);
  for (const { word, text } of found ?? []) out(text ? `${word}\t${text}` : word);
  done();
}

/** `bkp completion SHELL`, and the command that its script asks. */
export const completionCommands = (deps: CompletionDeps): Command[] => [
  new Command('completion')
    .description('print what makes a shell complete commands, names and ids of backups, e.g. `source <(bkp completion bash)`')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SCRIPTS)))
    .action((shell: Shell) => {
      deps.out(SCRIPTS[shell].trimEnd());
      deps.done();
    }),
  new Command('complete')
    .description('answer the script of `completion`')
    .argument('[words...]', 'those behind bkp; the last one is being typed')
    .allowUnknownOption()
    .action((words: string[]) => complete(words, deps)),
];
