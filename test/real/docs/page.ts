import { type Block, blocksOf, commandsOf } from './blocks.ts';
import { NOT_RUN, NOT_SHOWN } from './exceptions.ts';
import type { Machine } from './machine.ts';
import { unlike } from './shape.ts';
import { type Outcome, openShell, type Shell } from './shell.ts';

/** How a page is gone through. A key names the commands, settings or outputs that begin with it; one that nothing begins with is a fault. */
export interface Walk {
  /** What stands in the page → what it is in this world; asked anew before each command. */
  words?: () => Record<string, string>;
  /** Exit codes that are right, where 0 is not the only one. */
  codes?: Record<string, readonly number[]>;
  /** What is typed at the questions of a command, each by a word of the question. */
  answers?: Record<string, readonly [string, string][]>;
  /** What happens in the world before a command. */
  before?: Record<string, () => unknown>;
  /** What happens after it, with what it printed; a text is looked through for what the page shows, too. */
  after?: Record<string, (output: string) => unknown>;
  /** Commands that go on, and how their output shows that they are up. */
  behind?: Record<string, (output: string) => boolean>;
  /** Takes a block of another language (`sql`, `yaml`, `ini` …), as the page says. */
  takes?: (block: Block, text: string) => unknown;
}

export interface Walked {
  /** Commands that ran. */
  ran: number;
  /** What is not as the page says, with the line. */
  faults: string[];
}

class Walker {
  readonly #page: string;
  readonly #walk: Walk;
  readonly #shell: Shell;
  readonly #used = new Set<string>();
  readonly walked: Walked = { ran: 0, faults: [] };
  #output = '';

  constructor(page: string, walk: Walk, shell: Shell) {
    this.#page = page;
    this.#walk = walk;
    this.#shell = shell;
  }

  /** The value of the longest key that the text begins with. */
  #of<T>(map: Readonly<Record<string, T>> | undefined, text: string): T | undefined {
    const keys = Object.keys(map ?? {}).filter(key => text.startsWith(key));
    for (const key of keys) this.#used.add(key);
    return map?.[keys.sort((a, b) => b.length - a.length)[0] ?? ''];
  }

  #fault = (line: number, text: string): void => void this.walked.faults.push(`${this.#page}:${line}: ${text}`);

  #real(text: string): string {
    const words = Object.entries(this.#walk.words?.() ?? {});
    return words.reduce((real, [word, is]) => real.replaceAll(word, () => is), text);
  }

  async #command(text: string): Promise<Outcome> {
    const isUp = this.#of(this.#walk.behind, text);
    const real = this.#real(text);
    return isUp ? this.#shell.runBehind(real, isUp) : this.#shell.run(real, this.#of(this.#walk.answers, text));
  }

  async #run({ line, text }: { line: number; text: string }): Promise<void> {
    if (this.#of(NOT_RUN[this.#page], text)) return;
    await this.#of(this.#walk.before, text)?.();
    const { code, output } = await this.#command(text);
    this.walked.ran += 1;
    this.#output += output;
    const right = this.#of(this.#walk.codes, text) ?? [0];
    if (!right.includes(code)) this.#fault(line, `${this.#real(text)} ended with ${code}: ${output}`);
    else {
      const more = await this.#of(this.#walk.after, text)?.(output);
      if (typeof more === 'string') this.#output += more;
    }
  }

  async #block(block: Block): Promise<void> {
    if (block.language === 'sh') for (const command of commandsOf(block)) await this.#run(command);
    else if (block.language !== 'text') await this.#walk.takes?.(block, this.#real(block.lines.join('\n')));
    else if (!this.#of(NOT_SHOWN[this.#page], block.lines.join('\n').trim())) {
      for (const line of unlike(block.lines, this.#output)) this.#fault(block.line, `no output has the shape of: ${line}`);
    }
  }

  async go(): Promise<Walked> {
    for (const block of blocksOf(this.#page)) await this.#block(block);
    for (const { code, output } of await this.#shell.stopBehind())
      if (![0, 143].includes(code)) this.#fault(0, `what ran behind ended with ${code}: ${output}`);
    const { codes, answers, before, after, behind } = this.#walk;
    for (const map of [NOT_RUN[this.#page], NOT_SHOWN[this.#page], codes, answers, before, after, behind])
      for (const key of Object.keys(map ?? {})) if (!this.#used.has(key)) this.#fault(0, `nothing begins with ${key}`);
    return this.walked;
  }
}

/** The commands of a page that a test has to run, for those that run elsewhere than in a machine's shell. */
export const commandsToRun = (page: string): string[] =>
  blocksOf(page)
    .filter(({ language }) => language === 'sh')
    .flatMap(commandsOf)
    .map(({ text }) => text)
    .filter(text => !Object.keys(NOT_RUN[page] ?? {}).some(key => text.startsWith(key)));

/** Runs every command of a page in one shell, in order, and compares what it shows as output. Nothing is thrown for a fault. */
export async function walkPage(page: string, machine: Machine, walk: Walk = {}): Promise<Walked> {
  const shell = await openShell(machine);
  try {
    return await new Walker(page, walk, shell).go();
  } finally {
    await shell.close();
  }
}
