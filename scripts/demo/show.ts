import chalk from 'chalk';
import { type BkpOptions, runBkp } from '../../test/real/rig/index.ts';

const WIDTH = 18;
let chapters = 0;

const indented = (text: string): string =>
  text
    .trimEnd()
    .split('\n')
    .map(line => `  ${chalk.dim('│')} ${line}`)
    .join('\n');

/** A heading with its number. */
export function chapter(title: string): void {
  chapters += 1;
  console.log(`\n${chalk.bold.cyan(`${chapters}. ${title}`)}`);
}

/** A line of the story: a name in its column, then what it is. */
export const fact = (name: string, text: string): void => console.log(`  ${chalk.dim(name.padEnd(WIDTH))}${text}`);

export const good = (name: string, text: string): void => fact(name, `${chalk.green('✔')} ${text}`);

export const bad = (name: string, text: string): void => fact(name, `${chalk.red('✘')} ${text}`);

/** An instant as people compare them: UTC, to the millisecond. */
export const clockTime = (at: number): string => `${new Date(at).toISOString().slice(11, 23)} UTC`;

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** Shows a command as typed. */
export const typed = (line: string): void => console.log(`  ${chalk.yellow('$')} ${chalk.bold(line)}`);

const shown = (args: readonly string[]): string => ['bkp', ...args].map(arg => (/^[\w./:=@-]+$/.test(arg) ? arg : `'${arg}'`)).join(' ');

/**
 * Types a bkp command before the reader's eyes: the line, its output, how long it took (ms, returned).
 * @throws when it ends with anything but 0
 */
export async function bkp(args: readonly string[], options: BkpOptions): Promise<number> {
  typed(shown(args));
  const from = performance.now();
  const env = { ...options.env, ...(chalk.level > 0 ? { FORCE_COLOR: '1' } : {}) };
  const { code, signal, stdout, stderr } = await runBkp(args, { ...options, env });
  const took = performance.now() - from;
  const said = `${stderr}${stdout}`;
  if (said.trim()) console.log(indented(said));
  if (code !== 0) throw new Error(`\`${shown(args)}\` ended with ${code ?? signal}`);
  return took;
}
