import { createHash } from 'node:crypto';
import type { Bytes, Command, Site, TargetContext } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';

/** How a command line comes to another place: the words that start it there, stdin and stdout joined to the tool's. */
export interface Door {
  /** Of the place, for sentences. */
  name: string;
  command(words: readonly string[]): Command;
  /** What the door's own failure looks like, in words for the person; undefined when the tool behind it failed. */
  closed(error: BkpError): string | undefined;
}

/**
 * Reads lines `NAME=value` from stdin up to an empty one and starts the words as a program with them: no argument list shows a value.
 * A constant text: what varies are words after it, which no shell reads.
 */
const START = 'umask 077; while IFS= read -r line && [ "$line" ]; do export "$line"; done; exec "$@"';

/**
 * The same for a program that reads nothing: it is ended when stdin closes, since neither kubectl nor ssh end what they started when they
 * are ended themselves.
 */
const WATCHED = `umask 077; while IFS= read -r line && [ "$line" ]; do export "$line"; done; exec 3<&0
"$@" </dev/null 3<&- & tool=$!
{ while read -r line; do :; done; kill "$tool"; } <&3 >/dev/null 2>&1 & watch=$!
exec 3<&-
wait "$tool"; code=$?
kill "$watch" 2>/dev/null
exit "$code"`;

const launch = (program: string, command: Command): string[] => [
  'sh',
  '-c',
  command.cwd === undefined ? program : `cd "$1" || exit 1; shift; ${program}`,
  'sh',
  ...(command.cwd === undefined ? [] : [command.cwd]),
  command.file,
  ...command.args,
];

/** The same on this host, where nothing stands between us and the program: with `input` a line break, and stdin held open. */
export const watchedHere = (command: Command): Command => ({
  ...command,
  file: 'sh',
  args: ['-c', WATCHED, 'sh', command.file, ...command.args],
});

/** Throws BkpError('usage') for a value with a line break: it would end the line, and everything after it would be a name. */
function environment(env: Readonly<Record<string, string>> = {}): string {
  const all = { LC_ALL: 'C', TZ: 'UTC', ...env };
  const broken = Object.keys(all).find(key => /[\r\n\0]/.test(all[key as keyof typeof all]));
  if (broken) throw new BkpError('usage', `${broken} holds a line break, which cannot be handed to a tool elsewhere`);
  return `${Object.entries(all)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')}\n`;
}

/** What `sha256sum` and `wc -c` print first. */
const first = (text: string): string => text.trim().split(/\s+/)[0] ?? '';

/**
 * Tools of another place. It has to have a POSIX shell and `sha256sum`, `wc`, `cat`, `dd`, `mktemp`, `ls`, `rm`, as every Debian, Alpine and
 * busybox has.
 */
export function far({ run, report, signal }: Pick<TargetContext, 'run' | 'report' | 'signal'>, door: Door, temp?: string): Site {
  const dirs: string[] = [];

  /** The error of a tool there, said with the place; of the door itself, with what the door says. */
  const told = (file: string, error: unknown): unknown => {
    if (!(error instanceof BkpError)) return error;
    const closed = door.closed(error);
    if (closed) return new BkpError('failed', closed, { next: error.next, cause: error });
    const message = error.message.replace(/^\S+ (?=(?:ended|was ended|gave no|could not))/, `${file} on ${door.name} `);
    return new BkpError(error.exit, message, { next: error.next, cause: error });
  };

  const text: Site['text'] = async (command, options = {}) => {
    const watched = options.input === undefined;
    const through = door.command(launch(watched ? WATCHED : START, command));
    const input = `${environment(command.env)}${options.input ?? ''}`;
    return run.text(through, { signal, ...options, input, hold: watched }).catch(error => {
      throw told(command.file, error);
    });
  };

  const plain = async (file: string, ...args: string[]): Promise<string> => (await text({ file, args })).stdout;

  const measured = async (path: string): Promise<{ bytes: number; sha256: string }> => ({
    bytes: Number(first(await plain('wc', '-c', path))),
    sha256: first(await plain('sha256sum', path)).replace(/^\\/, ''),
  });

  const compare = (path: string, here: { bytes: number; sha256: string }, there: { bytes: number; sha256: string }): void => {
    if (here.bytes === there.bytes && here.sha256 === there.sha256) return;
    const what = here.bytes === there.bytes ? 'with another SHA-256' : `of ${there.bytes}`;
    throw new BkpError('failed', `${path} did not come whole between here and ${door.name}: ${here.bytes} bytes ${what}`, {
      next: 'the connection lost part of it; run it again',
    });
  };

  return {
    name: door.name,
    local: false,
    text,
    async which(file, places = []) {
      const script = 'for dir do [ -x "$dir/$0" ] && { echo "$dir/$0"; exit 0; }; done; command -v -- "$0" || true';
      const found = (await plain('sh', '-c', script, file, ...places)).trim();
      return found === '' ? undefined : found;
    },
    async dir() {
      const dir = (await plain('mktemp', '-d', ...(temp === undefined ? [] : [`${temp}/bkp-XXXXXX`]))).trim();
      if (!dir.startsWith('/')) throw new BkpError('failed', `mktemp on ${door.name} said "${dir}", which is no directory`);
      dirs.push(dir);
      return dir;
    },
    async names(dir) {
      const script = '[ -d "$0" ] || exit 0; ls -A -- "$0"';
      return (await plain('sh', '-c', script, dir)).split('\n').filter(Boolean).sort();
    },
    async *read(path) {
      const there = await measured(path);
      const hash = createHash('sha256');
      let bytes = 0;
      const { out, done } = run.pipeline([door.command(['cat', path])], { signal });
      try {
        for await (const chunk of out as Bytes) {
          hash.update(chunk);
          bytes += chunk.length;
          yield chunk;
        }
        await done;
      } catch (error) {
        throw told('cat', error);
      }
      compare(path, { bytes, sha256: hash.digest('hex') }, there);
    },
    async write(path, source) {
      const hash = createHash('sha256');
      let bytes = 0;
      const input = (async function* (): Bytes {
        yield Buffer.from('\n');
        for await (const chunk of source) {
          hash.update(chunk);
          bytes += chunk.length;
          yield chunk;
        }
      })();
      const { out, done } = run.pipeline([door.command(launch(START, { file: 'dd', args: ['bs=65536', `of=${path}`] }))], {
        signal,
        input,
      });
      out.resume();
      await done.catch(error => {
        throw told('dd', error);
      });
      compare(path, { bytes, sha256: hash.digest('hex') }, await measured(path));
    },
    remove: async path => void (await plain('rm', '-rf', '--', path)),
    async close() {
      for (const dir of dirs.splice(0)) {
        const gone = door.command(['rm', '-rf', '--', dir]);
        await run
          .text(gone, { timeoutMs: 30_000 })
          .catch(error => report.emit({ type: 'warning', text: `${dir} on ${door.name} stays behind: ${sentence(told('rm', error))}` }));
      }
    },
  };
}
