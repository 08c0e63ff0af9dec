import { Chalk } from 'chalk';
import type { Ora, default as Spin } from 'ora';
import type { Clock, Event, Reporter } from '../core/contracts.ts';
import { formatBytes, formatDuration } from './format.ts';
import { progressText } from './progress.ts';
import { fitted, terminalWidth } from './table.ts';

/** A log wants to know that it goes on, and not every second of it. */
const PLAIN_EVERY_MS = 60_000;

export interface TextOptions {
  stream: NodeJS.WriteStream;
  /** Ora, where the stream is a terminal: no other run has to load it. */
  ora?: typeof Spin | undefined;
  clock: Clock;
  color: boolean;
  quiet: boolean;
  redact(text: string): string;
}

/** Events for a person: a spinner with rate and time left on a terminal, elsewhere plain lines, one a minute of what goes on. */
export class TextReporter implements Reporter {
  readonly #options: TextOptions;
  readonly #chalk: InstanceType<typeof Chalk>;
  readonly #began = new Map<string, number>();
  #spinner: Ora | undefined;
  #lastPlain = 0;
  #closed = false;

  constructor(options: TextOptions) {
    this.#options = options;
    this.#chalk = new Chalk({ level: options.color ? 1 : 0 });
  }

  emit(event: Event): void {
    if (event.type === 'warning') this.#line(`${this.#chalk.yellow('warning')} ${event.text}`);
    else if (this.#options.quiet) return;
    else if (event.type === 'note') this.#line(event.text);
    else if (event.type === 'started') this.#start(event.what);
    else if (event.type === 'progress') this.#progress(event);
    else this.#line(`${this.#chalk.green('done')}    ${event.what}${endOf(event)}`);
  }

  /** Ends the spinner for good; call before the last words. What still comes in then would start it again and keep the process alive. */
  close(): void {
    this.#closed = true;
    this.#stop();
  }

  #stop(): void {
    this.#spinner?.stop();
    this.#spinner = undefined;
  }

  /** What begins now has a rate of its own, though its pieces may be named as those of the one before. */
  #start(what: string): void {
    this.#began.clear();
    this.#line(`${this.#chalk.dim('start')}   ${what}`);
  }

  #progress({ what, bytes, ...size }: Extract<Event, { type: 'progress' }>): void {
    if (this.#closed) return;
    const now = this.#options.clock.now().getTime();
    const began = this.#began.get(what) ?? now;
    this.#began.set(what, began);
    // A serial line may not know how wide it is, and then a spinner cannot be drawn over itself.
    const { ora, stream, color } = this.#options;
    if (ora && stream.isTTY && stream.columns > 0) {
      this.#spinner ??= ora({ stream, discardStdin: false, color: color ? 'cyan' : false }).start();
      this.#spinner.text = progressText(what, bytes, size, now - began);
      return;
    }
    if (now - Math.max(this.#lastPlain, began) < PLAIN_EVERY_MS) return;
    this.#lastPlain = now;
    this.#line(progressText(what, bytes, size, now - began));
  }

  #line(text: string): void {
    this.#stop();
    this.#options.stream.write(`${fitted(this.#options.redact(text), terminalWidth(this.#options.stream))}\n`);
  }
}

const endOf = ({ bytes, ms }: Extract<Event, { type: 'finished' }>): string =>
  `${bytes === undefined ? '' : `, ${formatBytes(bytes)} stored`}${ms === undefined ? '' : ` in ${formatDuration(ms)}`}`;
