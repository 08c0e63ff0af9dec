import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { node24 } from './places.ts';
import { tempDir } from './temp.ts';

/** What the stand-in shows, and what became of it. */
interface KubeletStub {
  /** Directory for `PATH`: its `kubectl` is the stand-in. */
  dir: string;
  /** Jobs that there are now, as they were created. */
  jobs(): any[];
  /** Every Job that was created, deleted ones too, the newest last. */
  created(): any[];
  calls(): string[][];
}

/**
 * kubectl before a cluster with claims and pods, whose one node runs a short Job as a kubelet does: the claim appears at its mount path, the
 * pod becomes ready, and what is executed in it is a process of this machine with none of the caller's environment. Mounts are bind mounts below
 * `/volumes`: it needs root.
 * @param volumes directory that stands for the volume of each claim
 */
export function kubeletStub(volumes: Record<string, string>, claims: readonly object[], pods: readonly object[]): KubeletStub {
  const dir = tempDir();
  const at = (name: string): string => join(dir, name);
  for (const name of ['bin', 'jobs', 'created']) mkdirSync(at(name));
  writeFileSync(at('calls'), '');
  const program = `#!${node24()}
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const args = process.argv.slice(2);
fs.appendFileSync(${JSON.stringify(at('calls'))}, JSON.stringify(args) + '\\n');
const [jobs, created] = ${JSON.stringify([at('jobs'), at('created')])};
const volumes = ${JSON.stringify(volumes)};
const valueOf = flag => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined);
const list = items => process.stdout.write(JSON.stringify({ kind: 'List', items }));
const mounts = job => job.spec.template.spec.containers[0].volumeMounts;
const labelled = (items, selector) => items.filter(({ metadata }) => !selector || (metadata.labels ?? {})[selector.split('=')[0]] === selector.split('=')[1]);
if (args.includes('create')) {
  const job = JSON.parse(fs.readFileSync(0, 'utf8'));
  fs.writeFileSync(path.join(jobs, job.metadata.name), JSON.stringify(job));
  // Names are random: what was created last is to be the last.
  fs.writeFileSync(path.join(created, String(fs.readdirSync(created).length).padStart(4, '0')), JSON.stringify(job));
  for (const { mountPath, readOnly } of mounts(job)) {
    fs.mkdirSync(mountPath, { recursive: true });
    require('node:child_process').execFileSync('mount', ['--bind', ...(readOnly ? ['-o', 'ro'] : []), volumes[job.spec.template.spec.volumes[0].persistentVolumeClaim.claimName], mountPath]);
  }
} else if (args.includes('delete')) {
  const file = path.join(jobs, args[args.indexOf('job') + 1]);
  for (const { mountPath } of mounts(JSON.parse(fs.readFileSync(file, 'utf8')))) {
    require('node:child_process').execFileSync('umount', [mountPath]);
    fs.rmdirSync(mountPath);
  }
  fs.rmSync(file);
} else if (args.includes('persistentvolumeclaims')) {
  list(labelled(${JSON.stringify(claims)}, valueOf('--selector')));
} else if (args.includes('pods')) {
  const job = valueOf('--selector')?.replace('job-name=', '');
  if (job === undefined) list(${JSON.stringify(pods)});
  else list([{ metadata: { name: job + '-x' }, spec: {}, status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } }]);
} else {
  const words = args.slice(args.indexOf('--') + 1);
  const child = spawn(words[0], words.slice(1), { env: { PATH: process.env.PATH }, cwd: '/', detached: true, stdio: ['pipe', 'inherit', 'inherit'] });
  process.stdin.pipe(child.stdin);
  child.stdin.on('error', () => {});
  child.on('close', code => {
    if (code) process.stderr.write('command terminated with exit code ' + code + '\\n');
    process.exitCode = code ?? 137;
    process.stdin.destroy();
  });
}
`;
  writeFileSync(join(at('bin'), 'kubectl'), program);
  chmodSync(join(at('bin'), 'kubectl'), 0o755);
  const all = (folder: string): any[] =>
    readdirSync(at(folder))
      .sort()
      .map(name => JSON.parse(readFileSync(join(at(folder), name), 'utf8')));
  return {
    dir: at('bin'),
    jobs: () => all('jobs'),
    created: () => all('created'),
    calls: () =>
      readFileSync(at('calls'), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map(line => JSON.parse(line)),
  };
}
