/** What ends the program: `code` is its exit code. The message goes to stderr as WAL-G's `ERROR:` line. */
export class Fatal extends Error {
  readonly code: number;
  constructor(message: string, code = 1) {
    super(message);
    this.code = code;
  }
}

/** @throws Fatal, always */
export const fatal = (message: string, code = 1): never => {
  throw new Fatal(message, code);
};

/** `2026/01/15 02:00:00.123456`, in UTC whatever TZ says, as Go's log package writes it for WAL-G. */
const stamp = (): string => microseconds(now()).replaceAll('-', '/').replace('T', ' ').slice(0, -1);

const say = (level: string) => (text: string) => void process.stderr.write(`${level}: ${stamp()} ${text}\n`);

/** WAL-G's log: stderr, one line each. */
export const log = { info: say('INFO'), warning: say('WARNING'), error: say('ERROR') };

/** Milliseconds since 1970 with a fraction. */
export const now = (): number => performance.timeOrigin + performance.now();

function microseconds(ms: number): string {
  const whole = Math.floor(ms);
  const rest = Math.floor((ms - whole) * 1000);
  return `${new Date(whole).toISOString().slice(0, -1)}${String(rest).padStart(3, '0')}Z`;
}

/** An instant as Go's JSON writes it: RFC 3339, UTC, at most microseconds here, no zeros at the end of the fraction. */
export const goTime = (ms: number): string => microseconds(ms).replace(/\.?0+Z$/, 'Z');

/** The same to the second, as tables show it. */
export const goTimeShort = (time: string): string => time.replace(/\.\d+Z$/, 'Z');
