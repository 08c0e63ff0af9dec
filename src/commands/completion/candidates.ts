import type { Command, Option } from 'commander';
import { FULL_DR } from '../fulldr/parts.ts';

/** One thing that could be typed next. */
export interface Candidate {
  word: string;
  text?: string;
}

/** Names that only the config and the stores know; each is asked for only when it is wanted. */
export interface Live {
  environments(): Promise<Candidate[]>;
  kinds(): Promise<Candidate[]>;
  names(kind: string): Promise<Candidate[]>;
  stores(): Promise<Candidate[]>;
  ids(kind: string | undefined, name: string | undefined): Promise<Candidate[]>;
}

/** Commands that take the whole of an environment where a kind would stand. */
const OF_THE_WHOLE: ReadonlySet<string> = new Set(['backup', 'restore', 'list', 'drill']);

const optionOf = (commands: readonly Command[], word: string): Option | undefined =>
  commands.flatMap(({ options }) => options).find(({ long, short }) => word === long || word === short);

/** Where the words have led to: the command, and its arguments so far. */
function walk(program: Command, words: readonly string[]): { command: Command; path: Command[]; args: string[] } {
  const path = [program];
  const args: string[] = [];
  for (let n = 0; n < words.length; n += 1) {
    const word = words[n]!;
    const command = path.at(-1)!;
    if (word.startsWith('-')) {
      const option = optionOf(path, word);
      if (option?.required && !word.includes('=')) n += 1;
      continue;
    }
    const sub = args.length === 0 ? command.commands.find(each => each.name() === word) : undefined;
    if (sub) path.push(sub);
    else args.push(word);
  }
  return { command: path.at(-1)!, path, args };
}

/** What an option's value can be; undefined = a file or a free text, which is the shell's. */
function ofOption(option: Option, args: readonly string[], live: Live): Promise<Candidate[]> | undefined {
  const [kind, name] = args;
  if (option.argChoices) return Promise.resolve(option.argChoices.map(word => ({ word })));
  if (option.long === '--env' || option.long === '--confirm-env') return live.environments();
  if (option.long === '--from' || option.long === '--store') return live.stores();
  if (option.long === '--from-backup') return live.ids(kind, name).then(ids => [{ word: 'latest', text: 'the newest' }, ...ids]);
  return undefined;
}

async function ofArgument(command: Command, args: readonly string[], live: Live): Promise<Candidate[]> {
  const argument = command.registeredArguments[args.length];
  if (argument?.argChoices) return argument.argChoices.map(word => ({ word }));
  if (argument?.name() === 'target') {
    const kinds = await live.kinds();
    return kinds.length > 0 && OF_THE_WHOLE.has(command.name()) ? [...kinds, { word: FULL_DR, text: 'all of it' }] : kinds;
  }
  if (argument?.name() === 'name') return live.names(args[0] ?? '');
  return argument?.name() === 'id' ? live.ids(undefined, undefined) : [];
}

/**
 * What could be typed next.
 * @param words those behind `bkp`; the last one is being typed, and may be empty
 * @returns candidates that begin with it; undefined where files are the shell's to offer
 */
export async function candidates(program: Command, words: readonly string[], live: Live): Promise<Candidate[] | undefined> {
  const typed = words.at(-1) ?? '';
  const { command, path, args } = walk(program, words.slice(0, -1));
  const before = words.at(-2);
  const option = before?.startsWith('-') ? optionOf(path, before) : undefined;
  const begins = (all: readonly Candidate[]): Candidate[] => all.filter(({ word }) => word.startsWith(typed));
  if (option?.required) {
    const values = await ofOption(option, args, live);
    return values && begins(values);
  }
  if (typed.startsWith('-'))
    return begins(
      path.flatMap(({ options }) =>
        options.filter(({ hidden }) => !hidden).map(each => ({ word: each.long ?? each.short!, text: each.description })),
      ),
    );
  const others = command.commands.filter(each => command === program || each.name() !== 'help');
  const subs = args.length === 0 ? others.map(each => ({ word: each.name(), text: each.description() })) : [];
  return begins(subs.length > 0 ? subs : await ofArgument(command, args, live));
}
