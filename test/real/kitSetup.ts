import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agePair } from '../ops/rig.ts';
import { bkpCommand, type Ended, type Running, runBkp, start, startBkp, tempDir } from './rig/index.ts';
import { commandLinesBelow } from './stub.ts';

export const PASSPHRASE = 'five words chosen by dice';
/** How the tests name it: by a variable, so that it stands in no argument. */
export const BY_VARIABLE = ['--passphrase-from', '${KIT_PASSPHRASE}'] as const;

const pair = agePair();
let keyFile: string | undefined;

/** For whom the kits of tests are sealed that have nothing to do with passphrases: those take a second each. */
export const forKey = ['--recipient', pair.recipient] as const;

/** The words that open such a kit. */
export function byKey(): string[] {
  keyFile ??= join(tempDir(), 'key');
  writeFileSync(keyFile, `${pair.identity}\n`);
  return ['--identity', keyFile];
}

/** A machine with programs and nothing else: no config, no variable of ours, an empty home. */
export const cleanMachine = (env: Record<string, string> = {}): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: tempDir(),
  TMPDIR: tempDir(),
  KIT_PASSPHRASE: PASSPHRASE,
  ...env,
});

/** Starts bkp there, in an empty directory. */
export function startThere(args: readonly string[], env = cleanMachine(), cwd = tempDir()): Running {
  const [file, all] = bkpCommand(args);
  return start(file, all, { env, cwd });
}

export const there = (args: readonly string[], env?: Record<string, string>, cwd?: string): Promise<Ended> =>
  startThere(args, env, cwd).ended;

/** Everything that a run shows and that `ps` shows of it and its children, until it ends. */
export async function seenOf(child: Running): Promise<Ended & { seen: string }> {
  const lines = new Set<string>();
  const timer = setInterval(() => {
    for (const line of commandLinesBelow(child.pid)) lines.add(line);
  }, 60);
  const end = await child.ended.finally(() => clearInterval(timer));
  return { ...end, seen: [...lines, end.stdout, end.stderr].join('\n') };
}

/** Makes a kit and returns its path. @throws when it does not end with the code that is wanted */
export async function aKit(
  run: { config: string; env: Record<string, string> },
  args: readonly string[] = forKey,
  wanted = 0,
): Promise<string> {
  const out = join(tempDir(), 'kit.age');
  const { code, stderr } = await runBkp(['kit', 'export', '--out', out, ...args], {
    ...run,
    env: { ...run.env, KIT_PASSPHRASE: PASSPHRASE },
  });
  if (code !== wanted) throw new Error(`bkp kit export ended with ${code}: ${stderr}`);
  return out;
}

/** `bkp kit check` on the host of the config. */
export const checkHere = (run: { config: string; env: Record<string, string> }, kit: string, ...args: string[]): Promise<Ended> =>
  startBkp(['kit', 'check', kit, ...byKey(), ...args], run).ended;

/** Moves things out of the way while something works, as a fire would. */
export async function without<T>(paths: readonly string[], work: () => Promise<T>): Promise<T> {
  for (const path of paths) renameSync(path, `${path}.gone`);
  try {
    return await work();
  } finally {
    for (const path of paths) renameSync(`${path}.gone`, path);
  }
}

/** The lines of the fenced blocks of a runbook that begin with `bkp`. */
export const commandsOf = (dir: string): string[] =>
  readFileSync(join(dir, 'RUNBOOK.md'), 'utf8')
    .split('\n')
    .filter(line => line.startsWith('bkp '));

/** What a directory holds in files anywhere below; none where it is not there. */
export const textsIn = (dir: string): string =>
  existsSync(dir)
    ? readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile())
        .map(entry => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
        .join('\n')
    : '';
