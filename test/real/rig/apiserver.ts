import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Running, run as runProgram, start } from './child.ts';
import { guarded } from './guard.ts';
import { binDir, root } from './places.ts';
import { tempDir } from './temp.ts';
import { freePort, waitFor } from './wait.ts';

const running = new Set<Running>();

/** Waits for the build that the set-up began in the background, or does it. @returns the program. @throws with the set-up's own words */
async function program(): Promise<string> {
  const setup = spawn('python3', [join(root, 'scripts/setup.py'), 'kubernetes'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const code = await new Promise(done => setup.once('exit', done));
  if (code !== 0) throw new Error('kube-apiserver could not be built: the set-up says why, above');
  return resolve(binDir('18'), '../../../../kubernetes/bin/kube-apiserver');
}

/** A kube-apiserver on loopback over one etcd: a control plane without nodes. */
export interface ApiServer {
  /** Path of kube-apiserver. */
  program: string;
  /** Path of a kubeconfig of its admin. */
  kubeconfig: string;
  /** Runs kubectl against it. @returns its stdout. @throws when it fails */
  kubectl(...args: string[]): Promise<string>;
  /** Makes what a manifest says. */
  apply(manifest: object): Promise<string>;
  stop(): Promise<void>;
}

const TOKEN = 'a-token-of-the-rig';

function keys(dir: string): { key: string; tokens: string } {
  const [key, tokens] = [join(dir, 'sa.key'), join(dir, 'tokens.csv')];
  execFileSync('openssl', ['genrsa', '-out', key, '2048'], { stdio: 'pipe' });
  writeFileSync(tokens, `${TOKEN},admin,1,system:masters\n`);
  return { key, tokens };
}

/** Starts one; the first on a bare machine waits for the build. @param endpoint of an etcd. @throws when it ends at its start */
export async function startApiServer(endpoint: string): Promise<ApiServer> {
  const file = await program();
  const [dir, port] = [tempDir(), await freePort()];
  const { key, tokens } = keys(dir);
  const child = start(
    file,
    [
      ...['--etcd-servers', endpoint, '--bind-address', '127.0.0.1', '--secure-port', String(port), '--cert-dir', dir],
      ...['--service-account-issuer', 'https://rig', '--service-account-key-file', key, '--service-account-signing-key-file', key],
      ...['--token-auth-file', tokens, '--authorization-mode', 'RBAC', '--service-cluster-ip-range', '10.9.0.0/24'],
      ...['--endpoint-reconciler-type', 'none', '--disable-admission-plugins', 'ServiceAccount'],
    ],
    { env: { PATH: process.env['PATH'] ?? '' }, cwd: dir },
  );
  running.add(child);
  guarded.addPid(child.pid);
  child.process.once('exit', () => {
    guarded.dropPid(child.pid);
    running.delete(child);
  });
  const config = join(dir, 'kubeconfig');
  const cluster = { name: 'rig', cluster: { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } };
  const context = { name: 'rig', context: { cluster: 'rig', user: 'admin' } };
  const user = { name: 'admin', user: { token: TOKEN } };
  const whole = { apiVersion: 'v1', kind: 'Config', clusters: [cluster], contexts: [context], users: [user], 'current-context': 'rig' };
  writeFileSync(config, JSON.stringify(whole), { mode: 0o600 });
  const env = { PATH: process.env['PATH'] ?? '', HOME: dir };
  const kubectl = async (...args: string[]) => (await runProgram('kubectl', ['--kubeconfig', config, ...args], { env })).stdout.trim();
  await waitFor(async () => child.process.exitCode !== null || (await kubectl('get', '--raw', '/readyz')) === 'ok', 'kube-apiserver');
  if (child.process.exitCode !== null) throw new Error(`kube-apiserver ended: ${child.output().stderr.slice(-2000)}`);
  return {
    program: file,
    kubeconfig: config,
    kubectl,
    apply: async manifest =>
      (await runProgram('kubectl', ['--kubeconfig', config, 'apply', '-f', '-'], { env, input: JSON.stringify(manifest) })).stdout,
    stop: async () => {
      child.kill('SIGKILL');
      await child.ended;
    },
  };
}

/** Ends every kube-apiserver that this process started. */
export async function stopAllApiServers(): Promise<void> {
  for (const child of [...running]) {
    child.kill('SIGKILL');
    await child.ended;
  }
}
