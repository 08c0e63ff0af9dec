import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { isAlive, type Running, start } from '../rig/child.ts';
import { guarded } from '../rig/guard.ts';
import { waitFor } from '../rig/wait.ts';
import type { Machine } from './machine.ts';

/** What came of a command. */
export interface Outcome {
  code: number;
  output: string;
}

/** Takes the numbers of command files from a pipe and runs each in itself, so that `cd`, `umask` and variables stay as in one's own shell. */
const DRIVER = `exec 9<>/run/docs/ask
while read -r n <&9; do
  . "/run/docs/$n.sh" >"/run/docs/$n.out" 2>&1
  echo $? >"/run/docs/$n.part"
  mv "/run/docs/$n.part" "/run/docs/$n.code"
done`;

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** One bash on a terminal, as root in a machine; its output goes to files. */
export class Shell {
  readonly #machine: Machine;
  readonly #terminal: Running;
  readonly #behind: number[] = [];
  #count = 0;

  constructor(machine: Machine, terminal: Running) {
    this.#machine = machine;
    this.#terminal = terminal;
  }

  #file = (n: number, kind: string): string => this.#machine.at(`/run/docs/${n}.${kind}`);

  output = (n: number): string => (existsSync(this.#file(n, 'out')) ? readFileSync(this.#file(n, 'out'), 'utf8') : '');

  #ask(text: string): number {
    this.#count += 1;
    this.#machine.write(`/run/docs/${this.#count}.sh`, `${text}\n`);
    appendFileSync(this.#machine.at('/run/docs/ask'), `${this.#count}\n`);
    return this.#count;
  }

  /** Runs a command to its end. @param answers what is typed at its questions, each by a word of the question */
  async run(text: string, answers: readonly [string, string][] = []): Promise<Outcome> {
    const n = this.#ask(text);
    for (const [question, typed] of answers) {
      await waitFor(() => existsSync(this.#file(n, 'code')) || this.output(n).includes(question), `the question ${question}`, 10);
      this.#terminal.process.stdin?.write(`${typed}\n`);
    }
    await waitFor(() => existsSync(this.#file(n, 'code')) || !isAlive(this.#terminal.pid), `the end of ${text}`, 10);
    if (!existsSync(this.#file(n, 'code'))) throw new Error(`the shell ended at ${text}: ${this.output(n)}`);
    return { code: Number(readFileSync(this.#file(n, 'code'), 'utf8')), output: this.output(n) };
  }

  /** Starts a command that goes on; `isUp` says by its output when the page may go on too. */
  async runBehind(text: string, isUp: (output: string) => boolean): Promise<Outcome> {
    const n = this.#count + 1;
    this.#ask(`{ ${text}\n} </dev/null >/run/docs/${n}.behind 2>&1 & echo $! >/run/docs/${n}.pid`);
    const said = (): string => (existsSync(this.#file(n, 'behind')) ? readFileSync(this.#file(n, 'behind'), 'utf8') : '');
    await waitFor(() => isUp(said()), `${text} to be up`, 10).catch((error: Error) => {
      throw new Error(`${error.message}; it said: ${said()}`);
    });
    this.#behind.push(n);
    return { code: 0, output: said() };
  }

  /** Ends what runs behind, as a service manager does, and waits for its end. @returns what each said */
  async stopBehind(): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const n of this.#behind.splice(0)) {
      const pid = readFileSync(this.#file(n, 'pid'), 'utf8').trim();
      const { code } = await this.run(`pkill -TERM -P ${pid} || kill ${pid}; wait ${pid}`);
      outcomes.push({ code, output: this.output(n) });
    }
    return outcomes;
  }

  async close(): Promise<void> {
    this.#terminal.kill('SIGKILL');
    await this.#terminal.ended;
    guarded.dropPid(this.#terminal.pid);
  }
}

/** Opens a shell in a machine. */
export async function openShell(machine: Machine): Promise<Shell> {
  await machine.sh('mkdir -p /run/docs; rm -f /run/docs/*; mkfifo /run/docs/ask');
  const [file, args] = machine.inside('bash', ['-c', DRIVER]);
  const line = `stty cols 120 rows 40; exec ${[file, ...args].map(quoted).join(' ')}`;
  const terminal = start('script', ['-qefc', line, '/dev/null'], { env: { SHELL: '/bin/sh', ...machine.env }, keepInput: true });
  guarded.addPid(terminal.pid);
  return new Shell(machine, terminal);
}
