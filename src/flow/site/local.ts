import { createReadStream } from 'node:fs';
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes, Site, TargetContext } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { watchedHere } from './far.ts';

async function* readFile(path: string): Bytes {
  const { size } = await stat(path);
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    bytes += (chunk as Buffer).length;
    yield chunk as Buffer;
  }
  if (bytes !== size) throw new BkpError('failed', `${path} changed while it was read: ${size} bytes before, ${bytes} read`);
}

async function writeFile(path: string, bytes: Bytes): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    for await (const chunk of bytes) await file.writeFile(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new BkpError('failed', `${dir} cannot be read: ${sentence(error)}`, { cause: error });
  }
}

/** Tools of this host. */
export function local({ run, report, signal, scratch }: Pick<TargetContext, 'run' | 'report' | 'signal' | 'scratch'>): Site {
  const dirs: string[] = [];
  return {
    name: 'this host',
    local: true,
    text: (command, { lasting, ...options } = {}) =>
      lasting ? run.text(watchedHere(command), { signal, ...options, input: '\n', hold: true }) : run.text(command, { signal, ...options }),
    which: async (file, places) => run.which(file, places),
    async dir() {
      const dir = await mkdtemp(join(await scratch(), 'site-'));
      dirs.push(dir);
      return dir;
    },
    names: namesIn,
    read: readFile,
    write: writeFile,
    remove: path => rm(path, { recursive: true, force: true }),
    async close() {
      for (const dir of dirs.splice(0))
        await rm(dir, { recursive: true, force: true, maxRetries: 3 }).catch(error =>
          report.emit({ type: 'warning', text: `${dir} stays behind: ${sentence(error)}` }),
        );
    },
  };
}
