import { copyFile } from 'node:fs/promises';
import { connect } from 'node:net';

const STOP = 255;

/** Asks the restore that listens on `socket` for a file; the answer is `0 <path>`, `74` or `255`. */
function ask(socket: string, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const link = connect(socket, () => link.write(`${name}\n`));
    link.setEncoding('utf8');
    link.on('data', chunk => {
      answer += chunk;
    });
    link.on('end', () => resolve(answer.trim()));
    link.on('error', reject);
  });
}

/**
 * `wal fetch --ready SOCKET FILE PATH`: the restore_command of a private server. The restore that started the server has the file
 * ready; this only copies it. Anything unexpected ends with 255, at which PostgreSQL stops; 74 means that the archive ends here.
 * @returns the exit code
 */
export async function main(args: readonly string[]): Promise<number> {
  const [socket, name, path] = args;
  if (!socket || !name || !path) {
    process.stderr.write('bkp: wal fetch --ready takes SOCKET FILE PATH\n');
    return STOP;
  }
  try {
    const answer = await ask(socket, name);
    const cut = answer.indexOf(' ');
    const code = Number(cut < 0 ? answer || STOP : answer.slice(0, cut));
    if (code === 0) await copyFile(answer.slice(cut + 1), path);
    else if (cut > 0) process.stderr.write(`bkp: WAL ${name} could not be fetched: ${answer.slice(cut + 1)}\n`);
    return Number.isInteger(code) ? code : STOP;
  } catch (error) {
    process.stderr.write(
      `bkp: ${name} could not be fetched from the running restore: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    return STOP;
  }
}

/**
 * Asks the process that reads ahead for `wal fetch`, if there is one, in the data directory (the current one).
 * @returns the exit code; undefined when it does not have the answer, and the file has to be fetched the long way
 */
export async function fromAhead(entry: string, name: string, path: string): Promise<number | undefined> {
  try {
    const answer = await ask(`pg_wal/.bkp-ahead-${entry}/wal`, name);
    if (answer === '74') return 74;
    if (!answer.startsWith('0 ')) return undefined;
    await copyFile(answer.slice(2), path);
    return 0;
  } catch {
    // Nobody is there, or it ended just now.
    return undefined;
  }
}
