import { BACKUPS, type FilesMetadata } from './backup.ts';
import type { Base } from './delta.ts';
import { hasFault } from './faults.ts';
import { log } from './log.ts';
import { cut, type Item } from './parts.ts';
import type { Run } from './run.ts';
import { tarOf } from './tar.ts';

/** What gathers while a backup is stored. */
export interface Stored {
  files: FilesMetadata & { Files: NonNullable<FilesMetadata['Files']> };
  plain: number;
  stored: number;
}

export const nothingStored = (): Stored => ({ files: { Files: {}, TarFileSets: {} }, plain: 0, stored: 0 });

async function* counted(bytes: AsyncIterable<Uint8Array>, add: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    add(chunk.length);
    yield chunk;
  }
}

/** Stores one tar of names below `root` as `tar_partitions/<part>.tar.<extension>`. */
export async function storeTar(
  { folder, codec }: Run,
  backup: string,
  part: string,
  root: string,
  names: readonly string[],
  into: Stored,
): Promise<void> {
  const file = codec.named(`${part}.tar`);
  if (into.files.TarFileSets && part !== 'pg_control') into.files.TarFileSets[file] = names.map(name => `/${name}`);
  if (hasFault('sentinel-without-parts')) return;
  const plain = counted(tarOf(root, names), bytes => {
    into.plain += bytes;
  });
  into.stored += await folder.put(`${BACKUPS}${backup}/tar_partitions/${file}`, codec.seal(plain));
}

async function dieBetween({ folder, codec }: Run, backup: string): Promise<void> {
  await folder.abandon(`${BACKUPS}${backup}/tar_partitions/${codec.named('part_002.tar')}`);
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => {});
}

/** Stores everything in parts of WALG_TAR_SIZE_THRESHOLD, each group in its own; what is as it was in the base is left to that one. */
export async function storeParts(
  run: Run,
  backup: string,
  root: string,
  groups: readonly (readonly Item[])[],
  base: Base | undefined,
  into: Stored,
): Promise<void> {
  const isSkipped = ({ name, directory, mtime }: Item) => !directory && base?.files[`/${name}`]?.MTime === mtime;
  for (const item of groups.flat())
    into.files.Files[item.name === '.' ? '/' : `/${item.name}`] = {
      IsIncremented: false,
      IsSkipped: isSkipped(item),
      MTime: item.mtime,
      UpdatesCount: 0,
    };
  const threshold = run.settings.number('WALG_TAR_SIZE_THRESHOLD', 2 ** 30);
  const parts = groups.flatMap(items =>
    cut(
      items.filter(item => !isSkipped(item)),
      threshold,
    ),
  );
  for (const [at, part] of parts.entries()) {
    log.info(`Starting part ${at + 1} of backup ${backup} ...`);
    await storeTar(
      run,
      backup,
      `part_${String(at + 1).padStart(3, '0')}`,
      root,
      part.map(({ name }) => name),
      into,
    );
    if (hasFault('killed')) await dieBetween(run, backup);
  }
  if (hasFault('stray-object')) await run.folder.put(`${BACKUPS}${backup}/tar_partitions/`, nothing());
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
