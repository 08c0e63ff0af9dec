import { createReadStream } from 'node:fs';
import { wants } from './args.ts';
import { fatal } from './log.ts';
import type { Run } from './run.ts';

async function ls({ folder, args }: Run, [path = '']: readonly string[]): Promise<void> {
  const under = path && `${path.replace(/\/*$/, '')}/`;
  const all = await folder.list(under);
  const inner = (name: string) => name.slice(under.length).split('/');
  const dirs = args.has('recursive')
    ? []
    : [
        ...new Set(
          all
            .map(({ name }) => inner(name))
            .filter(parts => parts.length > 1)
            .map(([dir]) => `${dir}/`),
        ),
      ];
  const objects = all.filter(({ name }) => args.has('recursive') || inner(name).length === 1);
  const lines = objects.map(({ name, size, time }) => `obj  ${size} ${time.toISOString()} ${name.slice(under.length)}\n`);
  process.stdout.write(
    ['type size last modified name\n', ...dirs.map(dir => `dir  0 0001-01-01 00:00:00 +0000 UTC ${dir}\n`), ...lines].join(''),
  );
}

async function cat({ folder, codec, args }: Run, [name = '']: readonly string[]): Promise<void> {
  const body = (await folder.get(name)) ?? fatal(`object '${folder.path}${name}' not found in storage`);
  for await (const chunk of args.has('decompress') || args.has('decrypt') ? codec.open(name, body) : body) process.stdout.write(chunk);
}

/** Everything whose name begins so, even in the middle of a word. */
async function rm({ folder }: Run, [prefix = '']: readonly string[]): Promise<void> {
  const all = await folder.list('', { hidden: true });
  await folder.remove(all.filter(({ name }) => name.startsWith(prefix)));
}

async function put({ folder, codec, args }: Run, [local = '', name = '']: readonly string[]): Promise<void> {
  const raw = args.has('no-compress') && args.has('no-encrypt');
  await folder.put(raw ? name : codec.named(name), raw ? createReadStream(local) : codec.seal(createReadStream(local)));
}

const TOOLS: Readonly<Record<string, (run: Run, words: readonly string[]) => Promise<void>>> = { ls, cat, rm, put };

/** `st ls [-r] [DIR]`, `st cat NAME`, `st rm PREFIX`, `st put FILE NAME` */
export async function storageTools(run: Run): Promise<void> {
  wants(run.args, 1, 3);
  const [tool = '', ...words] = run.args.rest;
  await (TOOLS[tool] ?? fatal(`unknown command "${tool}" for "wal-g st"`))(run, words);
}
