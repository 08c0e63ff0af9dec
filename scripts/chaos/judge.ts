import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { childrenOf, type Ended, removeTemp, startEtcd, startPostgres, startRedis, tempDir } from '../../test/real/rig/index.ts';
import { bkp, KINDS, type Kind, NAMES, type World } from './world.ts';

/** A backup that bkp called good. */
export interface Good {
  kind: Kind;
  id: string;
  /** Stores that took it. */
  stores: string[];
  /** The last number that was acknowledged before the run began: all up to it must be in there. */
  floor: number;
}

/** How a verb may end, whatever is thrown at it. */
const CODES: Readonly<Record<string, readonly number[]>> = {
  backup: [0, 1, 3, 4, 7, 8, 9, 143],
  prune: [0, 1, 3, 4, 7, 8, 9, 143],
  verify: [0, 3, 6, 8, 9, 143],
  status: [0, 1, 8, 10, 143],
  list: [0, 3, 8, 143],
};

/** Whether an end is one that its verb has: with the sentence that belongs to it. @returns what is wrong */
export function endFault(verb: string, ended: Ended, killed: NodeJS.Signals | undefined): string | undefined {
  const { code, signal, stdout, stderr } = ended;
  if (signal) return signal === killed ? undefined : `${verb} was ended by ${signal}`;
  if (!CODES[verb]?.includes(code ?? -1)) return `${verb} ended with ${code}: ${stderr}${stdout.slice(-2000)}`;
  if (code === 143 && killed !== 'SIGTERM') return `${verb} ended with 143, and nobody asked for it`;
  if (code === 1 && !/bkp: \S/.test(stderr) && !/"error"/.test(stdout)) return `${verb} ended with 1 and no sentence`;
  if (/\n {4}at |TypeError|RangeError|UnhandledPromise/.test(stderr + stdout)) return `${verb} crashed: ${stderr}${stdout}`;
  return undefined;
}

const last = (stdout: string): any => {
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  } catch {
    return undefined;
  }
};

/** What a run of backup called good, each with the stores that it says have it. */
export const goodOf = ({ stdout }: Ended, floors: Readonly<Record<Kind, number>>): Good[] =>
  ((last(stdout)?.backups ?? []) as any[])
    .filter(({ id, exit }) => id && (exit === 'done' || exit === 'partial'))
    .map(({ kind, id, stores }) => ({
      kind,
      id,
      stores: stores.filter(({ ok }: any) => ok).map(({ name }: any) => name),
      floor: floors[kind as Kind],
    }));

/**
 * Of what a backup was to take, what did not come into the far store, which nobody harms: with nothing in its way, that is a defect.
 * @param what the argument of `bkp backup`
 */
export function lackedByFar(what: string, good: readonly Good[]): Kind[] {
  const asked = what === 'full-dr' ? KINDS : KINDS.filter(kind => kind === what);
  return asked.filter(kind => !good.some(each => each.kind === kind && each.stores.includes('far')));
}

/** Numbers of a restored copy, by what the server that is started on it says. */
const COUNT: Readonly<Record<Kind, (dir: string) => Promise<Set<number>>>> = {
  async postgres(dir) {
    const server = await startPostgres({ version: '15', dir });
    try {
      return new Set((await server.sql('select n from chaos')).split('\n').map(Number));
    } finally {
      await server.destroy();
    }
  },
  async redis(dir) {
    const server = await startRedis({ dir });
    try {
      return new Set((await server.cli('KEYS', 'chaos:*')).split('\n').map(key => Number(key.split(':')[1])));
    } finally {
      await server.destroy();
    }
  },
  async etcd(dir) {
    const server = await startEtcd({ version: '3.6', dataDir: dir });
    try {
      const keys = await server.ask('get', '/chaos/', '--prefix', '--keys-only');
      return new Set(keys.split('\n').flatMap(key => (key.startsWith('/chaos/') ? [Number(key.slice(7))] : [])));
    } finally {
      await server.stop();
    }
  },
  async volumes(dir) {
    return new Set(readdirSync(dir).flatMap(name => (/^n-\d+$/.test(name) ? [Number(name.slice(2))] : [])));
  },
};

/** What of 1 … `floor` is not in a restored copy. */
export async function lostIn(kind: Kind, dir: string, floor: number): Promise<number[]> {
  const there = await COUNT[kind](dir);
  return Array.from({ length: floor }, (_, n) => n + 1).filter(n => !there.has(n));
}

/**
 * Restores a backup out of one of its stores and looks whether all that was acknowledged before it is there.
 * @returns `sentence` = the restore said no; `lost` = it said yes, and this is missing
 */
export async function tried(world: World, { kind, id, floor }: Good, store: string): Promise<{ sentence?: string; lost?: number[] }> {
  const root = tempDir({ forServer: true });
  const to = join(root, 'back');
  try {
    const args = ['restore', kind, NAMES[kind], '--from-backup', id, '--from', store, '--to', to, '--yes'];
    const { code, stderr } = await bkp(world, args);
    if (code !== 0 && code !== 3) return { sentence: `${code}: ${stderr.trim()}` };
    const lost = await lostIn(kind, to, floor);
    return lost.length > 0 ? { lost } : {};
  } finally {
    removeTemp(root);
  }
}

/** Every secret that stands in what was said, or in the arguments of a process. */
export const secretsIn = (text: string, { secrets }: World): string[] =>
  secrets.filter(secret => secret.length > 5 && text.includes(secret));

/** The arguments of a process and of all that it started, which everybody on a machine can read. */
export const argumentsOf = (pid: number): string => {
  try {
    const own = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return [own, ...childrenOf(pid).map(argumentsOf)].join('\n');
  } catch {
    return '';
  }
};

/** What bkp left of a run among the temporary files; taken away, so that it is told once. */
export function leftIn({ temp }: World): string[] {
  const left = readdirSync(temp);
  for (const name of left) rmSync(join(temp, name), { recursive: true, force: true });
  return left;
}
