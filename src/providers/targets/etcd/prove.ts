import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command, ProofRequest, Trial } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { assertOpens } from '../../../flow/age.ts';
import { type Check, getArgs, isGet, judgeCount, judgeGot, nameOf } from './checks.ts';
import { asked } from './client.ts';
import type { Context } from './config.ts';
import { type ControlPlane, startControlPlane } from './controlPlane.ts';
import { checkState, countPrefix, type StateFacts } from './k3s/sqlite.ts';
import { fingerprint } from './k3s/token.ts';
import { bring, type Contents, contentsOf, type Here } from './pieces.ts';
import { type ClientCertificate, freePorts, startPrivate } from './privateServer.ts';
import { writtenBy } from './restore.ts';
import { FULL } from './status.ts';
import { type Offline, offline, type Program, serverProgram } from './tools.ts';
import { BUMP, refuseFull, restoredBytes, restoreSnapshot } from './trial.ts';

/** Which exits speak of the backup; every other one tells of this host. */
function judged(name: string, error: unknown): Trial {
  if (!(error instanceof BkpError) || error.exit === 'storeUnreachable') throw error;
  const state = error.exit === 'verifyFailed' ? 'fail' : 'unproven';
  return { name, state, text: sentence(error), ...(error.next[0] ? { mend: error.next[0] } : {}) };
}

const seconds = (ctx: Context, began: number): number => Math.round((ctx.clock.now().getTime() - began) / 100) / 10;

/** Runs one trial, timed. What goes wrong is judged. */
async function trial(ctx: Context, name: string, work: () => Promise<Omit<Trial, 'name'>>): Promise<Trial> {
  ctx.report.emit({ type: 'started', what: name });
  const began = ctx.clock.now().getTime();
  try {
    return { name, ...(await work()), seconds: seconds(ctx, began) };
  } catch (error) {
    ctx.signal.throwIfAborted();
    return judged(name, error);
  }
}

const isGood = ({ state }: Trial): boolean => state === 'ok' || state === 'note';

/** A private server answers here, with the source's own users where auth is on, or by the client certificate of one. */
class Client {
  readonly #ctx: Context;
  readonly #file: string;
  readonly #endpoint: string;
  readonly #only: ClientCertificate | undefined;

  constructor(ctx: Context, file: string, endpoint: string, only?: ClientCertificate) {
    this.#ctx = ctx;
    this.#file = file;
    this.#endpoint = endpoint;
    this.#only = only;
  }

  async text(...words: string[]): Promise<string> {
    const { config } = this.#ctx;
    const own = { cert: this.#only?.cert, key: this.#only?.key };
    const plain: Context = { ...this.#ctx, config: { ...config, cacert: undefined, ...own } };
    const { env, ...call }: Command = asked(plain, this.#file, this.#endpoint, words, 30_000);
    const command = { ...call, env: { ...env, ...(this.#only ? { ETCDCTL_INSECURE_SKIP_TLS_VERIFY: 'true' } : {}) } };
    return (await this.#ctx.run.text(command, { signal: this.#ctx.signal })).stdout;
  }

  /** Whether auth is on, and nobody's name was given. */
  isLocked(): Promise<boolean> {
    return this.counts().then(
      () => false,
      error => /user name is empty/.test(sentence(error)),
    );
  }

  /** Newest revision, and how many keys there are that begin so. */
  async counts(prefix = ''): Promise<{ revision: number; keys: number }> {
    const { header, count = 0 } = JSON.parse(await this.text('get', prefix, '--prefix', '--limit=1', '--keys-only', '-w', 'json')) as {
      header: { revision: number };
      count?: number;
    };
    return { revision: header.revision, keys: count };
  }
}

/** etcdctl for the private server: any version speaks to any. */
function clientProgram(ctx: Context): string {
  const found = ctx.run.which('etcdctl', ctx.config.bin);
  if (found) return found;
  throw new BkpError('failed', 'etcdctl is needed to ask the copy, and is not on PATH or in `bin:`', {
    next: 'apt-get install etcd-client',
  });
}

/** Where revisions were raised before, etcdutl 3.6 counts the empty entry that did it as a key (tried on 3.6.16). */
const RAISED_MARK = 1;

async function baseline(client: Client, { manifest }: Contents, tool: Offline): Promise<Omit<Trial, 'name'>> {
  const recorded = manifest.baseline as { revision?: number; keys?: number };
  const found = await client.counts();
  const least = (recorded.revision ?? 0) + (tool.bumps ? BUMP : 0);
  if (found.revision < least)
    return { state: 'fail', text: `the copy is at revision ${found.revision}, and ${recorded.revision} was recorded at backup time` };
  if (recorded.keys !== undefined && found.keys !== recorded.keys && found.keys !== recorded.keys - RAISED_MARK)
    return { state: 'fail', text: `the copy has ${found.keys} keys, and ${recorded.keys} were recorded at backup time` };
  return {
    state: 'ok',
    text: `${found.keys} keys at revision ${recorded.revision}${recorded.keys === undefined ? '; keys were not counted at backup time' : ''}`,
  };
}

/** What a full cluster wrote into its own data. It is lifted in the copy, so that a write can be tried. */
async function alarms(client: Client): Promise<Omit<Trial, 'name'>> {
  const raised = [...(await client.text('alarm', 'list')).matchAll(/alarm:(\w+)/g)].map(([, name]) => name!);
  if (raised.length === 0) return { state: 'ok', text: 'none is raised' };
  const other = raised.find(name => name !== FULL);
  if (other) return { state: 'fail', text: `the copy carries alarm ${other}` };
  await client.text('alarm', 'disarm');
  return { state: 'note', text: `the copy carries alarm ${FULL}: a restored cluster takes no writes until \`etcdctl alarm disarm\`` };
}

async function write(client: Client, id: string): Promise<Omit<Trial, 'name'>> {
  const key = `bkp-proof-${id}`;
  await client.text('put', key, id);
  const read = (await client.text('get', key, '--print-value-only')).trim();
  await client.text('del', key);
  return read === id
    ? { state: 'ok', text: 'a key was written, read and deleted' }
    : { state: 'fail', text: `${id} was written, and "${read}" came back` };
}

/** What watched the lost cluster must be told that its place in history is gone. */
async function compaction(client: Client, { manifest }: Contents, tool: Offline): Promise<Omit<Trial, 'name'>> {
  if (!tool.bumps)
    return {
      state: 'note',
      text: `etcd ${tool.version.join('.')} cannot mark revisions compacted: restart what watches it after a restore`,
    };
  const revision = String(manifest.baseline['revision']);
  try {
    await client.text('get', '', '--prefix', '--limit=1', '--keys-only', `--rev=${revision}`);
  } catch (error) {
    if (/compacted/.test(sentence(error))) return { state: 'ok', text: `revision ${revision} and older are marked compacted` };
    throw error;
  }
  return { state: 'fail', text: `revision ${revision} can still be read: watchers of the lost cluster would go on from it` };
}

/** An error of the client on our own server is the copy's, but for users that this host does not know. */
function onCopy(error: unknown): unknown {
  if (!(error instanceof BkpError)) return error;
  const text = sentence(error);
  if (/user name is empty|authentication failed|permission denied/.test(text))
    return new BkpError('usage', 'auth is on in the copy, and this host has no user for it', {
      next: '`user:` and `password:`, or `cert:` and `key:`, of a user with the role root',
    });
  return new BkpError('verifyFailed', text.split('\n').at(-1) ?? text, { cause: error });
}

/** The client certificate of the entry, where its files can be read here: those of another place cannot. */
async function certificateHere({ config: { cert, key } }: Context): Promise<ClientCertificate | undefined> {
  if (!cert || !key) return undefined;
  const readable = await Promise.all([cert, key].map(path => access(path, constants.R_OK))).catch(() => undefined);
  return readable && { cert, key };
}

/** Asks once by the certificate. Throws BkpError('usage') in words: that it is not let in tells of the certificate, not of the backup. */
async function admit(client: Client, { cert }: ClientCertificate): Promise<Omit<Trial, 'name'>> {
  try {
    await client.counts();
  } catch (error) {
    throw new BkpError('usage', `auth is on in the copy, and ${cert} is not let in: ${sentence(error).split('\n').at(-1)}`, {
      next: '`cert:` and `key:`, or `user:` and `password:`, of a user with the role root',
      cause: error,
    });
  }
  return { state: 'ok', text: `auth is on in the copy, and ${cert} is let in` };
}

/** What only a control plane can be asked: it is started once for all such checks, and not at all where there is none. */
async function* planeTrials(ctx: Context, endpoint: string, dir: string): AsyncGenerator<Trial> {
  const asking = ctx.config.checks.filter(isGet);
  if (asking.length === 0) return;
  let plane: ControlPlane | undefined;
  try {
    yield await trial(ctx, 'control plane', async () => {
      plane = await startControlPlane(ctx, endpoint, join(dir, 'plane'));
      return { state: 'ok', text: 'a kube-apiserver serves the copy' };
    });
    if (!plane) return;
    const { kubectl } = plane;
    for (const check of asking) yield await trial(ctx, nameOf(check), async () => judgeGot(check, await kubectl(getArgs(check))));
  } finally {
    await plane?.stop();
  }
}

/** Objects of a K3s on SQLite have the same keys, and no kube-apiserver reads them there. */
const unasked = (check: Check): Omit<Trial, 'name'> => ({
  state: 'unproven',
  text: 'the copy is a SQLite database, which only K3s itself serves',
  mend: `ask for its keys: \`prefix: /registry/…\` instead of \`get: ${check.get}\``,
});

async function* etcdTrials(ctx: Context, contents: Contents, here: Here, { dir, enter }: ProofRequest): AsyncGenerator<Trial> {
  const dataDir = join(dir, 'data');
  const ports = await freePorts();
  const peer = `http://127.0.0.1:${ports[1]}`;
  let tool!: Offline;
  const restored = await trial(ctx, 'restore', async () => {
    tool = await offline(ctx, writtenBy(contents));
    await refuseFull(ctx, dir, restoredBytes(contents.data.bytes), 'a restored copy');
    await restoreSnapshot(ctx, tool, here.file, dataDir, {
      name: 'default',
      initialCluster: `default=${peer}`,
      initialAdvertisePeerUrls: peer,
    });
    return { state: 'ok', text: `${tool.file.split('/').at(-1)} ${tool.version.join('.')} made a data directory` };
  });
  yield restored;
  if (!isGood(restored)) return;
  enter?.('start');
  let server: Awaited<ReturnType<typeof startPrivate>> | undefined;
  let program!: Program;
  try {
    const started = await trial(ctx, 'start', async () => {
      program = await serverProgram(ctx, tool);
      server = await startPrivate(ctx, program, dataDir, ports).catch(error => {
        throw error instanceof BkpError ? new BkpError('verifyFailed', sentence(error), { cause: error }) : error;
      });
      return { state: 'ok', text: `etcd ${program.version.join('.')} serves the copy` };
    });
    enter?.('prove');
    yield started;
    if (!server) return;
    let client = new Client(ctx, clientProgram(ctx), server.endpoint);
    const only = (await client.isLocked()) ? await certificateHere(ctx) : undefined;
    if (only) {
      await server.stop();
      const admitted = await trial(ctx, 'certificate', async () => {
        server = await startPrivate(ctx, program, dataDir, ports, only);
        client = new Client(ctx, clientProgram(ctx), server.endpoint, only);
        return admit(client, only);
      });
      yield admitted;
      if (!isGood(admitted)) return;
    }
    const tell = (work: Promise<Omit<Trial, 'name'>>) =>
      work.catch(error => {
        throw onCopy(error);
      });
    const alarm = await trial(ctx, 'alarms', () => tell(alarms(client)));
    if (alarm.state !== 'ok') yield alarm;
    yield await trial(ctx, 'baseline', () => tell(baseline(client, contents, tool)));
    yield await trial(ctx, 'compaction', () => tell(compaction(client, contents, tool)));
    for (const check of ctx.config.checks.filter(each => !isGet(each)))
      yield await trial(ctx, nameOf(check), () => tell(client.counts(check.prefix).then(({ keys }) => judgeCount(check, keys))));
    yield* planeTrials(ctx, server.endpoint, dir);
    yield await trial(ctx, 'write', () => tell(write(client, contents.manifest.id)));
  } finally {
    await server?.stop();
  }
}

async function* sqliteTrials(ctx: Context, { manifest }: Contents, here: Here, { enter }: ProofRequest): AsyncGenerator<Trial> {
  enter?.('prove');
  const recorded = manifest.baseline as unknown as StateFacts;
  yield await trial(ctx, 'baseline', async () => {
    const { revision, keys } = await checkState(ctx, here.file);
    return revision === recorded.revision && keys === recorded.keys
      ? { state: 'ok', text: `every page and index is whole; ${keys} keys at revision ${revision}` }
      : {
          state: 'fail',
          text: `the copy has ${keys} keys at revision ${revision}, and ${recorded.keys} at ${recorded.revision} were recorded`,
        };
  });
  for (const check of ctx.config.checks)
    yield await trial(ctx, nameOf(check), async () =>
      isGet(check) ? unasked(check) : judgeCount(check, await countPrefix(ctx, here.file, check.prefix ?? '')),
    );
  yield await trial(ctx, 'write', async () => {
    await checkState(ctx, here.file, db =>
      db.exec('begin immediate; create table bkp_proof (n); insert into bkp_proof values (1); rollback'),
    );
    return { state: 'ok', text: 'a row was written' };
  });
}

function tokenTrial({ manifest }: Contents, { token }: Here): Trial[] {
  if (!token) return [];
  const [found, recorded] = [fingerprint(token), manifest.baseline['token']];
  return found === recorded
    ? [{ name: 'token', state: 'ok', text: `the server token is there (${found})` }]
    : [{ name: 'token', state: 'fail', text: `the server token is ${found}, and ${recorded} was recorded` }];
}

/** Restores a backup, serves it by an etcd of its own on loopback, and tries it. */
export async function* prove(ctx: Context, request: ProofRequest): AsyncGenerator<Trial> {
  const { manifest, dir, read } = request;
  let contents!: Contents;
  let here!: Here;
  const unpacked = await trial(ctx, 'unpack', async () => {
    contents = contentsOf(manifest);
    if (manifest.line.includes('age')) await assertOpens(ctx.keys.identity(), manifest.recipients);
    await refuseFull(ctx, dir, contents.data.bytes, 'the backup');
    here = await bring(ctx, contents, dir, read);
    return { state: 'ok', text: 'fetched, decrypted, of the SHA-256 in the signed manifest, and whole' };
  });
  yield unpacked;
  if (!isGood(unpacked)) return;
  yield* tokenTrial(contents, here);
  if (contents.sqlite) yield* sqliteTrials(ctx, contents, here, request);
  else yield* etcdTrials(ctx, contents, here, request);
}
