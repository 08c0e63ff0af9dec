import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Child } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import type { Context } from './config.ts';
import { freePorts } from './privateServer.ts';

/** A kube-apiserver on a restored etcd: a control plane without nodes, that reaches nothing but that etcd. */
export interface ControlPlane {
  /** Runs kubectl as its admin. @returns its stdout. @throws BkpError('verifyFailed') in kubectl's words */
  kubectl(args: readonly string[]): Promise<string>;
  /** Ends it and waits until it is gone. */
  stop(): Promise<void>;
}

const READY_MS = 300_000;
const ASK_MS = 60_000;
const PAUSE_MS = 500;

/**
 * All that the restored objects could send it to, such as webhooks and aggregated APIs of the live cluster, goes into a socket that is not
 * there (EgressSelectorConfiguration, since Kubernetes 1.20).
 */
const egressOf = (dir: string): string =>
  JSON.stringify({
    apiVersion: 'apiserver.k8s.io/v1beta1',
    kind: 'EgressSelectorConfiguration',
    egressSelections: ['cluster', 'controlplane'].map(name => ({
      name,
      connection: { proxyProtocol: 'HTTPConnect', transport: { uds: { udsName: join(dir, 'nowhere.sock') } } },
    })),
  });

const kubeconfigOf = (port: number, token: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'copy', cluster: { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'copy', context: { cluster: 'copy', user: 'admin' } }],
    'current-context': 'copy',
  });

function program(ctx: Context, name: string): string {
  const found = ctx.run.which(name, ctx.config.bin);
  if (found) return found;
  throw new BkpError('failed', `${name} is needed to ask the copy as a control plane, and is not on PATH or in \`bin:\``, {
    next: `install ${name} of the cluster's minor version, and name its directory in \`bin:\` of the entry`,
  });
}

/** Writes its keys and settings, all of mode 600. @returns its arguments and the path of a kubeconfig */
async function prepared(dir: string, endpoint: string, port: number): Promise<{ args: string[]; kubeconfig: string }> {
  await mkdir(dir, { mode: 0o700 });
  const put = async (name: string, text: string): Promise<string> => {
    const path = join(dir, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const token = randomBytes(24).toString('hex');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = await put('accounts.key', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  const tokens = await put('tokens.csv', `${token},bkp,bkp,system:masters\n`);
  const egress = await put('egress.json', egressOf(dir));
  const kubeconfig = await put('kubeconfig', kubeconfigOf(port, token));
  const args = [
    ...['--etcd-servers', endpoint, '--bind-address', '127.0.0.1', '--secure-port', String(port), '--cert-dir', dir],
    ...['--service-account-issuer', 'https://bkp', '--service-account-key-file', key, '--service-account-signing-key-file', key],
    ...['--token-auth-file', tokens, '--authorization-mode', 'RBAC', '--anonymous-auth=false', '--egress-selector-config-file', egress],
    ...['--endpoint-reconciler-type', 'none', '--service-cluster-ip-range', '10.43.0.0/16'],
    ...['--disable-admission-plugins', 'ServiceAccount,MutatingAdmissionWebhook,ValidatingAdmissionWebhook'],
  ];
  return { args, kubeconfig };
}

/** The last thing that a server said of its end. */
const lastWords = (heard: readonly string[]): string =>
  (heard.findLast(line => /^[EF]\d{4}|"err"|[Ee]rror/.test(line)) ?? heard.at(-1) ?? '').slice(0, 400);

async function untilReady(ctx: Context, ask: ControlPlane['kubectl'], isOver: () => boolean, heard: readonly string[]): Promise<void> {
  const until = ctx.clock.now().getTime() + READY_MS;
  for (;;) {
    ctx.signal.throwIfAborted();
    const answer = await ask(['get', '--raw', '/readyz']).catch(sentence);
    if (answer.trim() === 'ok') return;
    if (isOver()) throw new BkpError('verifyFailed', `a kube-apiserver on the copy ended: ${lastWords(heard)}`);
    if (ctx.clock.now().getTime() >= until) throw new BkpError('verifyFailed', `a kube-apiserver on the copy did not get ready: ${answer}`);
    await ctx.clock.sleep(PAUSE_MS, ctx.signal);
  }
}

function heardFrom(child: Child): { heard: string[]; isOver(): boolean; over: Promise<unknown> } {
  const heard: string[] = [];
  let over = false;
  const listening = (async () => {
    for await (const line of child.lines()) heard.splice(0, Math.max(0, heard.push(line) - 200));
  })();
  const end = Promise.allSettled([child.ended, listening]).then(() => {
    over = true;
  });
  return { heard, isOver: () => over, over: end };
}

/**
 * Starts a kube-apiserver on a served copy, on a free port of loopback, which only the token of this run opens.
 * @param endpoint of the private etcd
 * @param dir is made
 * @throws BkpError('failed') where this host has no kube-apiserver or kubectl; 'verifyFailed' with its last words
 */
export async function startControlPlane(ctx: Context, endpoint: string, dir: string): Promise<ControlPlane> {
  const [file, kubectl] = [program(ctx, 'kube-apiserver'), program(ctx, 'kubectl')];
  const [port] = await freePorts();
  const { args, kubeconfig } = await prepared(dir, endpoint, port);
  const child = ctx.run.start({ file, args, cwd: dir }, { signal: ctx.signal, tied: 'SIGKILL' });
  const { heard, isOver, over } = heardFrom(child);
  const plane: ControlPlane = {
    async kubectl(words) {
      const command = {
        file: kubectl,
        args: ['--kubeconfig', kubeconfig, '--cache-dir', join(dir, 'cache'), ...words],
        env: { HOME: dir },
      };
      try {
        return (await ctx.run.text(command, { signal: ctx.signal, timeoutMs: ASK_MS })).stdout;
      } catch (error) {
        ctx.signal.throwIfAborted();
        throw new BkpError('verifyFailed', sentence(error), { cause: error });
      }
    },
    async stop() {
      child.kill('SIGKILL');
      await over;
    },
  };
  try {
    await untilReady(ctx, plane.kubectl, isOver, heard);
  } catch (error) {
    await plane.stop();
    throw error;
  }
  return plane;
}
