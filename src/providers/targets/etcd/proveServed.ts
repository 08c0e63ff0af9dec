import { join } from 'node:path';
import type { ProofRequest, Trial } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { getArgs, isGet, judgeCount, judgeGot, nameOf } from './checks.ts';
import type { Context } from './config.ts';
import { type ControlPlane, startControlPlane } from './controlPlane.ts';
import type { Contents, Here } from './pieces.ts';
import { type ClientCertificate, freePorts, startPrivate } from './privateServer.ts';
import { admit, Client, certificateHere, clientProgram, onCopy } from './proveClient.ts';
import { alarms, baseline, compaction, write } from './proveCopy.ts';
import { type Found, isGood, trial } from './proveTrial.ts';
import { writtenBy } from './restore.ts';
import { type Offline, offline, type Program, serverProgram } from './tools.ts';
import { refuseFull, restoredBytes, restoreSnapshot } from './trial.ts';

type Server = Awaited<ReturnType<typeof startPrivate>>;

/** A data directory that was made of a snapshot, and what serves it. */
interface Copy {
  dir: string;
  /** Of clients and of peers. */
  ports: Awaited<ReturnType<typeof freePorts>>;
  tool: Offline;
}

/** Makes a data directory of the snapshot. */
async function restored(ctx: Context, contents: Contents, here: Here, dir: string, made: (copy: Copy) => void): Promise<Found> {
  const ports = await freePorts();
  const peer = `http://127.0.0.1:${ports[1]}`;
  const tool = await offline(ctx, writtenBy(contents));
  await refuseFull(ctx, dir, restoredBytes(contents.data.bytes), 'a restored copy');
  const copy = { dir: join(dir, 'data'), ports, tool };
  await restoreSnapshot(ctx, tool, here.file, copy.dir, {
    name: 'default',
    initialCluster: `default=${peer}`,
    initialAdvertisePeerUrls: peer,
  });
  made(copy);
  return { state: 'ok', text: `${tool.file.split('/').at(-1)} ${tool.version.join('.')} made a data directory` };
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

/** The private server of a copy, and who asks it. */
class Served {
  readonly #ctx: Context;
  readonly #copy: Copy;
  #program: Program | undefined;
  #etcdctl = '';
  #server: Server | undefined;
  #client: Client | undefined;

  constructor(ctx: Context, copy: Copy) {
    this.#ctx = ctx;
    this.#copy = copy;
  }

  get server(): Server {
    return this.#server!;
  }

  get client(): Client {
    return this.#client!;
  }

  async start(): Promise<Found> {
    this.#etcdctl = clientProgram(this.#ctx);
    const program = await serverProgram(this.#ctx, this.#copy.tool);
    this.#program = program;
    await this.#serve(program).catch(error => {
      throw error instanceof BkpError ? new BkpError('verifyFailed', sentence(error), { cause: error }) : error;
    });
    return { state: 'ok', text: `etcd ${program.version.join('.')} serves the copy` };
  }

  /** Starts anew, for whoever has this certificate only, and asks once. */
  async admit(only: ClientCertificate): Promise<Found> {
    await this.stop();
    await this.#serve(this.#program!, only);
    return admit(this.client, only);
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  async #serve(program: Program, only?: ClientCertificate): Promise<void> {
    const { dir, ports } = this.#copy;
    this.#server = await startPrivate(this.#ctx, program, dir, ports, only);
    this.#client = new Client(this.#ctx, this.#etcdctl, this.#server.endpoint, only);
  }
}

/** What the copy holds, against what was recorded and what the entry asks for. */
async function* contentTrials(ctx: Context, contents: Contents, tool: Offline, client: Client): AsyncGenerator<Trial> {
  const alarm = await trial(ctx, 'alarms', () => onCopy(alarms(client)));
  if (alarm.state !== 'ok') yield alarm;
  yield await trial(ctx, 'baseline', () => onCopy(baseline(client, contents, tool)));
  yield await trial(ctx, 'compaction', () => onCopy(compaction(client, contents, tool)));
  for (const check of ctx.config.checks.filter(each => !isGet(each)))
    yield await trial(ctx, nameOf(check), () => onCopy(client.counts(check.prefix).then(({ keys }) => judgeCount(check, keys))));
}

/** Makes a data directory of the snapshot, serves it by an etcd of its own, and tries it. */
export async function* servedTrials(ctx: Context, contents: Contents, here: Here, request: ProofRequest): AsyncGenerator<Trial> {
  const { dir, enter } = request;
  let copy: Copy | undefined;
  yield await trial(ctx, 'restore', () =>
    restored(ctx, contents, here, dir, made => {
      copy = made;
    }),
  );
  if (!copy) return;
  enter?.('start');
  const served = new Served(ctx, copy);
  try {
    const started = await trial(ctx, 'start', () => served.start());
    enter?.('prove');
    yield started;
    if (!isGood(started)) return;
    const only = (await served.client.isLocked()) ? await certificateHere(ctx) : undefined;
    if (only) {
      const admitted = await trial(ctx, 'certificate', () => served.admit(only));
      yield admitted;
      if (!isGood(admitted)) return;
    }
    yield* contentTrials(ctx, contents, copy.tool, served.client);
    yield* planeTrials(ctx, served.server.endpoint, dir);
    yield await trial(ctx, 'write', () => onCopy(write(served.client, contents.manifest.id)));
  } finally {
    await served.stop();
  }
}
