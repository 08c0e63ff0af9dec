import { fatal } from './log.ts';

export interface Args {
  command: string;
  /** What is no flag, after the command. */
  rest: string[];
  /** Whether a flag without a value was given, by its long name. */
  has(name: string): boolean;
  /** The value of a flag that takes one, or undefined. */
  value(name: string): string | undefined;
  /** Settings given as flags: `--walg-s3-prefix` is WALG_S3_PREFIX. */
  settings: Map<string, string>;
}

const SWITCHES = new Set(
  'full permanent verify detail json pretty confirm impermanent with-history detailed-json without-backups recursive use-sentinel-time turbo help version'
    .split(' ')
    .concat(
      'without-backup-check decrypt decompress no-compress no-encrypt force store-all-corrupt reverse-unpack skip-redundant-tars'.split(
        ' ',
      ),
    ),
);

const VALUES = new Set(
  'config add-user-data delta-from-name delta-from-user-data target-user-data restore-spec backup-name from to after timeline lsn mask target-storage'.split(
    ' ',
  ),
);

const SHORT: Readonly<Record<string, string>> = {
  f: 'full',
  p: 'permanent',
  v: 'verify',
  i: 'impermanent',
  w: 'with-history',
  r: 'recursive',
  h: 'help',
};
const SHORT_OF_COPY: Readonly<Record<string, string>> = { b: 'backup-name', f: 'from', t: 'to', w: 'with-history' };

const SETTING = /^(walg|wale|aws|s3|pg)-?[a-z0-9-]+$/;

const longName = (word: string, command: string): string =>
  word.startsWith('--') ? word.slice(2) : ((command === 'copy' ? SHORT_OF_COPY : SHORT)[word.slice(1)] ?? word.slice(1));

/** What cobra, which reads WAL-G's arguments, says to a stranger: on stderr as it comes, and by WAL-G once more on stdout. */
function usage(message: string): never {
  process.stdout.write(`${message}\n`);
  process.stderr.write(`Error: ${message}\n`);
  process.exit(1);
}

/** Reads a command line: `wal-g COMMAND [flags] [arguments]`, flags anywhere. Ends the program on an unknown flag. */
export function readArgs(words: readonly string[]): Args {
  const switches = new Set<string>();
  const values = new Map<string, string>();
  const settings = new Map<string, string>();
  const rest: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]!;
    if (!word.startsWith('-') || word === '-') {
      rest.push(word);
      continue;
    }
    const [name = '', given] = splitOnce(longName(word, rest[0] ?? ''));
    const take = () => given ?? words[++at] ?? usage(`flag needs an argument: --${name}`);
    if (SWITCHES.has(name)) switches.add(name);
    else if (VALUES.has(name)) values.set(name, take());
    else if (SETTING.test(name)) settings.set(name.toUpperCase().replaceAll('-', '_'), take());
    else usage(`unknown flag: --${name}`);
  }
  return { command: rest[0] ?? '', rest: rest.slice(1), has: name => switches.has(name), value: name => values.get(name), settings };
}

function splitOnce(text: string): [string, string?] {
  const at = text.indexOf('=');
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** Ends the program unless so many arguments were given. */
export function wants({ rest }: Args, least: number, most = least): void {
  if (rest.length >= least && rest.length <= most) return;
  usage(
    least === most
      ? `accepts ${least} arg(s), received ${rest.length}`
      : `accepts between ${least} and ${most} arg(s), received ${rest.length}`,
  );
}

/** As cobra answers a command that it does not know. */
export const unknownCommand = (command: string): never => usage(`unknown command "${command}" for "wal-g"`);

/** The JSON of `--add-user-data` and `--target-user-data`, or undefined where nothing was given. */
export function userData(text: string | undefined): unknown {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    return fatal(
      `Failed to unmarshal the provided UserData: failed to read the user data as a JSON object: Failed to unmarshal ${text}: ${(error as Error).message}`,
    );
  }
}
