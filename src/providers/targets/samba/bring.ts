import { createWriteStream } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Bytes, Known, PieceRef, TargetContext } from '../../../core/contracts.ts';
import { BkpError, hasNoRoom } from '../../../core/errors.ts';
import { INCOMPLETE } from '../../../flow/place.ts';
import type { SambaConfig } from './config.ts';
import { inlined } from './includes.ts';
import { assertInside, assertWhole, DomainScan } from './members.ts';
import type { NewDc } from './names.ts';
import { hasDns, WITHOUT_DNS } from './noDns.ts';
import { readSaid } from './said.ts';
import { millis, sambaTool, type Tools } from './tools.ts';

type Context = TargetContext<SambaConfig>;

const LOOK_MS = 50;

/** A fetched archive. */
export interface Fetched {
  path: string;
  /** It has the partitions of DNS. */
  dns: boolean;
  /** Names of the files in it. */
  files: readonly string[];
}

/** Fetches the archive into a file of mode 600 and looks at what is in it before anything unpacks it. @throws BkpError('verifyFailed') */
export async function fetchTar(manifest: Known['manifest'], read: (piece: PieceRef) => Bytes, path: string): Promise<Fetched> {
  const piece = manifest.pieces.find(({ name }) => name === 'domain.tar') as PieceRef;
  const scan = new DomainScan();
  async function* watched(): Bytes {
    for await (const chunk of read(piece)) {
      scan.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      await scan.drained();
      // What is read on is not the reader's to reuse before it is written.
      yield Buffer.from(chunk);
    }
  }
  try {
    await pipeline(watched, createWriteStream(path, { mode: 0o600, flags: 'wx' }));
    const contents = await scan.end();
    assertInside(contents);
    assertWhole(contents, manifest.identity['realm'] ?? '', []);
    const files = [...contents.members.values()].filter(({ type }) => type === '0').map(({ name }) => name);
    return { path, dns: hasDns(contents), files };
  } catch (error) {
    if (!hasNoRoom(error)) throw error;
    throw new BkpError('failed', `the archive does not fit among the temporary files (${path})`, {
      next: '`temp:` in the config',
      cause: error,
    });
  } finally {
    scan.stop();
  }
}

/** samba-tool wants an empty directory, so the mark of an incomplete restore comes as soon as it has begun to fill it. */
async function mark(ctx: Context, to: string, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    if ((await readdir(to)).length > 0) {
      await writeFile(join(to, INCOMPLETE), 'A restore into this directory has not been completed.\n', { mode: 0o600 });
      return;
    }
    await ctx.clock.sleep(LOOK_MS);
  }
}

/** For the Python that samba-tool runs on: one file of an archive, by its name with or without `./`. */
const READ = `
import sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    for member in tar:
        if member.name.removeprefix('./') == sys.argv[2]:
            sys.stdout.buffer.write(tar.extractfile(member).read())
            break
`;

/** A smb.conf for the restore, where that of the backup includes what this host has not. @returns options that name it, and what is lost */
async function readable({ site, python }: Tools, tar: Fetched, dir: string): Promise<{ args: string[]; lost: string[] }> {
  const read = async (member: string): Promise<string> => (await site.text({ file: python, args: ['-c', READ, tar.path, member] })).stdout;
  const conf = await inlined(await read('etc/smb.conf'), tar.files, read);
  if (conf === undefined) return { args: [], lost: [] };
  const path = join(dir, 'smb.conf');
  await writeFile(path, conf.text, { mode: 0o600 });
  return { args: ['-s', path], lost: conf.lost };
}

/** What came of a restore by samba-tool. */
export interface Brought {
  /** What samba-tool warned of. */
  warnings: string[];
  /** What is not as it was on the DC. */
  differs: string[];
}

/**
 * Runs samba-tool's restore into an empty directory, which is marked incomplete from then on.
 * @param dir for temporary files
 * @throws BkpError('failed') in words that say what to do; the directory is then half filled
 */
export async function bringBack(ctx: Context, tools: Tools, tar: Fetched, to: string, dc: NewDc, dir: string): Promise<Brought> {
  const conf = await readable(tools, tar, dir);
  const args = [
    ...['domain', 'backup', 'restore', `--backup-file=${tar.path}`, `--newservername=${dc.name}`, `--targetdir=${to}`],
    ...(dc.hostIp === undefined ? [] : [`--host-ip=${dc.hostIp}`]),
    ...(dc.site === undefined ? [] : [`--site=${dc.site}`]),
    ...conf.args,
  ];
  const options = { dir, timeoutMs: millis(ctx, 'restore'), from: 'files' as const, ...(tar.dns ? {} : { script: WITHOUT_DNS }) };
  let over = false;
  const restoring = sambaTool(tools, `samba-tool's restore into ${to}`, args, options).finally(() => {
    over = true;
  });
  // Both to their ends: whoever clears the directory after a failure must not meet a mark that is still being written.
  const [output, marked] = await Promise.allSettled([restoring, mark(ctx, to, () => over)]);
  if (output.status === 'rejected') throw output.reason;
  if (marked.status === 'rejected') throw marked.reason;
  const { lacks, warnings } = readSaid(output.value);
  return {
    warnings: [...lacks, ...warnings],
    differs: conf.lost.map(
      path => `smb.conf included ${path}, which is neither on this host nor in the backup: what it set is not in the restored one`,
    ),
  };
}
