import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { BkpError } from '../core/errors.ts';

const nowhere = () => new Writable({ write: (_chunk, _encoding, done) => done() });

/**
 * Something typed on the terminal that is not shown there.
 * @throws BkpError('aborted') at Ctrl-C and Ctrl-D, 'refused' where there is no terminal, the signal's own reason when one comes from outside
 */
export async function askHidden(question: string, signal: AbortSignal): Promise<string> {
  if (!process.stdin.isTTY)
    throw new BkpError('refused', 'a passphrase is wanted, and there is no terminal to ask on', {
      next: "--passphrase-from '${file:/path}' or '${NAME}' says where it is",
    });
  const terminal = createInterface({ input: process.stdin, output: nowhere(), terminal: true });
  const left = new Promise<never>((_, reject) => {
    for (const event of ['SIGINT', 'close']) terminal.once(event, () => reject(new BkpError('aborted', 'no passphrase: nothing was done')));
  });
  process.stderr.write(question);
  try {
    return await Promise.race([terminal.question('', { signal }), left]);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    terminal.close();
    process.stderr.write('\n');
  }
}
