import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { begin, endOf, through } from './child.ts';

/** What tar says of a file that a running server changed, cut or removed meanwhile: WAL repairs it. */
const HARMLESS =
  /file changed as we read it|File removed before we read it|file shrank by|Cannot stat: No such file|Exiting with failure status due to previous errors/;

/** A tar of these names below `root`; directories without what is in them. @throws when tar fails for another reason than a change */
export async function* tarOf(root: string, names: readonly string[]): AsyncGenerator<Uint8Array> {
  const args = ['--create', '--file=-', `--directory=${root}`, '--no-recursion', '--null', '--verbatim-files-from', '--files-from=-'];
  const child = begin('tar', args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
  const ended = endOf(child);
  child.stdin!.end(names.map(name => `${name}\0`).join(''));
  yield* child.stdout as AsyncIterable<Uint8Array>;
  const { code, stderr } = await ended;
  const worse = stderr.split('\n').filter(line => line && !HARMLESS.test(line));
  if (code !== 0 && worse.length > 0) throw new Error(worse.join('\n'));
}

/** Unpacks a tar into `root`, without the names in `except`; owners are whoever runs this, as with WAL-G. @throws when it is cut or no tar */
export async function untar(root: string, tar: AsyncIterable<Uint8Array>, except: readonly string[], scratch: string): Promise<void> {
  const list = join(scratch, `except-${Math.random()}`);
  writeFileSync(list, except.map(name => `${name}\n`).join(''));
  const args = ['--extract', '--file=-', `--directory=${root}`, '--no-same-owner', '--preserve-permissions', '--keep-directory-symlink'];
  // As WAL-G does, it reads on behind the end of the archive: damage may show in the checksum of the whole only.
  const filter = ['--ignore-zeros', '--anchored', '--no-wildcards', `--exclude-from=${list}`];
  for await (const _ of through('tar', [...args, ...filter], tar)) {
    // It writes files, not to its standard output.
  }
}
