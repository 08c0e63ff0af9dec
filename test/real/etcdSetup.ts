import { readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BkpOptions, type Etcd, etcdBin, makeConfig, runBkp, tempDir } from './rig/index.ts';

/** A config with keys and one directory store for one etcd. */
export interface EtcdSetup {
  run: Required<Pick<BkpOptions, 'config' | 'env'>>;
  store: string;
  keys: Record<string, unknown>;
  /** Temporary files of bkp: empty again after every run. */
  temp: string;
}

/** The entry of a server; what a test says goes over it. */
export const entryOf = (etcd: Etcd, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  flavor: 'etcd',
  endpoints: [etcd.endpoint],
  bin: [etcdBin(etcd.version)],
  connectTimeout: '2s',
  ...more,
});

let keys: Record<string, unknown> | undefined;

/** Writes the config, with keys that all tests of a file share; `like` shares store and keys with another one. */
export async function setUp(entry: Record<string, unknown>, like?: EtcdSetup, stores?: Record<string, unknown>): Promise<EtcdSetup> {
  const [store, temp] = [like?.store ?? tempDir(), tempDir()];
  const config = await makeConfig({
    stores: (stores as Record<string, string>) ?? { local: store },
    etcd: { main: entry },
    ...(keys ? { keys } : {}),
  });
  keys ??= config.keys;
  return { run: { config: config.path, env: { TMPDIR: temp } }, store, keys: config.keys, temp };
}

/** Takes a backup and returns its result line. @throws when it does not end with 0 */
export async function aBackup(at: EtcdSetup, args: readonly string[] = []): Promise<Record<string, any>> {
  const { code, stdout, stderr } = await runBkp(['backup', 'etcd', 'main', '--json', ...args], at.run);
  if (code !== 0) throw new Error(`bkp backup ended with ${code}: ${stderr}${stdout}`);
  const result = JSON.parse(stdout.trim().split('\n').at(-1)!);
  return { ...result.backups[0], events: stdout };
}

/** Keys of what a store holds, below a kind. */
export const objectsOf = ({ store }: EtcdSetup): string[] =>
  readdirSync(store, { recursive: true, encoding: 'utf8' })
    .filter(path => /backups\/.*\/[^/]+\.[^/]+$/.test(path))
    .sort();

/** A path that is not there yet. */
export const aPlace = (): string => join(tempDir(), 'restored');

/** The line of the manifest in a store. */
export const manifestOf = (at: EtcdSetup, id: string): Record<string, any> => {
  const key = objectsOf(at).find(each => each.includes(id) && each.endsWith('manifest.json'))!;
  return JSON.parse(readFileSync(join(at.store, key), 'utf8').split('\n')[0]!);
};

/** Programs of etcd with one of them under a script: `$REAL` is the real one. @returns its directory */
export function wrapped(program: string, script: string): string {
  const dir = tempDir();
  for (const each of ['etcd', 'etcdctl', 'etcdutl']) symlinkSync(join(etcdBin('3.6'), each), join(dir, each));
  unlinkSync(join(dir, program));
  writeFileSync(join(dir, program), `#!/bin/bash\nREAL=${join(etcdBin('3.6'), program)}\n${script}\n`, { mode: 0o755 });
  return dir;
}

/** Bends bytes in the middle of each page from the third on, and makes the hash anew: only a restore tells. */
export const FLIP = `
import hashlib, sys
data = bytearray(open(sys.argv[1], 'rb').read()[:-32])
for page in range(2, len(data) // 4096):
    for at in range(20, 84):
        data[page * 4096 + at] ^= 0xff
open(sys.argv[1], 'wb').write(bytes(data) + hashlib.sha256(bytes(data)).digest())
`;
