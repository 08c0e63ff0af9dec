import { createReadStream, createWriteStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Folder, Stored } from './folder.ts';
import { fatal } from './log.ts';

const walk = (root: string, under: string): Stored[] =>
  !existsSync(join(root, under))
    ? []
    : readdirSync(join(root, under), { recursive: true, encoding: 'utf8' })
        .map(name => ({ name: `${under}${name}`, stat: statSync(join(root, under, name)) }))
        .filter(({ stat }) => stat.isFile())
        .map(({ name, stat }) => ({ name, time: stat.mtime, size: stat.size }));

async function write(file: string, body: AsyncIterable<Uint8Array>): Promise<number> {
  mkdirSync(dirname(file), { recursive: true });
  await pipeline(Readable.from(body), createWriteStream(`${file}.tmp`));
  renameSync(`${file}.tmp`, file);
  return statSync(file).size;
}

/** WALG_FILE_PREFIX: a directory, which must be there. */
export function openFiles(prefix: string): Folder {
  const root = prefix.replace(/^file:\/\/(localhost)?/, '');
  if (!existsSync(root)) fatal(`configure file storage: folder does not exist or is inaccessible: stat ${root}: no such file or directory`);
  return {
    path: `${root}/`,
    list: async under => walk(root, under).sort((a, b) => (a.name < b.name ? -1 : 1)),
    get: async name => (existsSync(join(root, name)) ? createReadStream(join(root, name)) : undefined),
    put: (name, body) => write(join(root, name), body),
    remove: async objects => {
      for (const { name } of objects) rmSync(join(root, name), { force: true });
    },
    abandon: async () => {},
  };
}
