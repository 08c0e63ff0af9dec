import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../src/core/contracts.ts';
import type { Evidence, TargetEvidence } from '../../src/core/evidence.ts';
import { encodeManifest } from '../../src/core/manifest.ts';
import { makeKeys } from '../../src/flow/keys.ts';
import { lastJson, type Yaml } from './change.ts';
import { type BkpOptions, runBkp, tempDir } from './rig/index.ts';
import { rewritten } from './rig/undo.ts';
import { filesIn } from './stub.ts';

/** What a drill ended with. */
export interface Drilled {
  code: number | null;
  stderr: string;
  result: Yaml;
  drill: Evidence;
  /** The first target of it. */
  first: TargetEvidence;
  /** Names of what failed in the first target, and what was said of it. */
  failed: string[];
  texts: string;
}

/** Runs `bkp drill` and sees that it leaves nothing behind among the temporary files. @throws when it does */
export async function runDrill(args: readonly string[], run: BkpOptions): Promise<Drilled> {
  const temp = tempDir();
  const { code, stdout, stderr } = await runBkp(['drill', ...args, '--json'], { ...run, env: { ...run.env, TMPDIR: temp } });
  const left = readdirSync(temp);
  if (left.length > 0) throw new Error(`bkp drill ${args.join(' ')} left ${left.join(', ')}`);
  const result = lastJson(stdout);
  const drill = result['drill'] as Evidence;
  const first = drill?.targets[0] as TargetEvidence;
  const bad = (first?.checks ?? []).filter(({ state }) => state === 'fail');
  return {
    code,
    stderr,
    result,
    drill,
    first,
    failed: [...new Set(bad.map(({ name }) => name))],
    texts: bad.map(({ text }) => text).join('\n'),
  };
}

/**
 * Signs another manifest in the place of a backup's own, as a backup would stand there whose data are not what was recorded.
 * @param root of a directory store
 * @returns what puts the old one back, which the end of the test does too
 */
export function resigned(root: string, keysDir: string, id: string, change: (manifest: Manifest) => Partial<Manifest>): () => void {
  const path = join(root, filesIn(root).find(each => each.endsWith(`backups/${id}/manifest.json`))!);
  const manifest = JSON.parse(readFileSync(path, 'utf8').split('\n')[0]!) as Manifest;
  const keys = makeKeys({ recipients: [], trusted: [], signing: () => readFileSync(join(keysDir, 'signing.key'), 'utf8').trim() });
  return rewritten(path, () => encodeManifest({ ...manifest, ...change(manifest) }, keys.sign));
}

/** Objects of a store that a drill writes, by the section that they are in. */
export const recordsIn = (root: string, section: 'drills' | 'proofs' | 'runs' | 'pins'): string[] =>
  filesIn(root).filter(path => path.includes(`/${section}/`) && (section !== 'runs' || path.includes('/drill/')));

/** All that a store holds beside what a drill may write. */
export const dataIn = (root: string): string[] => filesIn(root).filter(path => !/\/(drills|proofs|runs)\//.test(path));

/** Ids of the processes that work in a directory or below it. */
export const processesIn = (dir: string): number[] =>
  readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`).startsWith(`${dir}/`);
      } catch {
        return false;
      }
    });
