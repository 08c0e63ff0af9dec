import type { Facts, Held, Id, Piece } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import type { Hetzner, Image, Server } from '../../hetzner/index.ts';
import { bytesOf, type Context, hetznerOf } from './context.ts';
import { labelsOf, selectorOf } from './labels.ts';
import { attachedOf, chosenServers, refuseAttached } from './servers.ts';

/** A server that was told to shut down is looked at so often, and given so long. Milliseconds. */
const LOOK_MS = 3000;
const OFF_MS = 5 * 60_000;

/** After its action has ended an image is `available` at once, as a rule; so often it is looked at, 5 s apart. */
const LOOKS = 12;

const heldOf = (image: Image, server: Server): Held => ({
  by: 'hetzner',
  id: String(image.id),
  detail: {
    server: String(server.id),
    name: server.name,
    diskGb: String(image.disk_size ?? ''),
    architecture: image.architecture,
    type: server.server_type?.name ?? '',
  },
});

/** Where the answer was lost, the labels tell whether the snapshot was begun all the same: a second one would be paid for too. */
async function begin(ctx: Context, hetzner: Hetzner, server: Server, id: Id): Promise<Image> {
  const labels = labelsOf(ctx.base, { id, server: server.id, at: ctx.clock.now() });
  const what = `the snapshot of ${server.name}`;
  try {
    const { image, action } = await hetzner.createSnapshot(server.id, `bkp ${ctx.env}/${ctx.name} ${id} ${server.name}`, labels);
    await hetzner.untilDone(action, what, percent => ctx.report.emit({ type: 'progress', what, bytes: percent, total: 100 }));
    return image;
  } catch (error) {
    if (!(error instanceof BkpError) || error.exit !== 'storeUnreachable') throw error;
    const found = (await hetzner.snapshots(`${selectorOf(ctx.base, id)},bkp-server=${server.id}`))[0];
    if (!found) throw error;
    ctx.report.emit({ type: 'note', text: `${what} was begun although its answer was lost: ${sentence(error)}` });
    return found;
  }
}

/** Good is only what the service itself calls available. */
async function untilAvailable(ctx: Context, hetzner: Hetzner, { id }: Image, server: Server): Promise<Image> {
  for (let look = 1; ; look++) {
    const image = await hetzner.image(id);
    if (image.status === 'available') return image;
    if (image.status !== 'creating' || look === LOOKS)
      throw new BkpError('failed', `the snapshot ${id} of ${server.name} is "${image.status}", not available`);
    await ctx.clock.sleep(5000, ctx.signal);
  }
}

async function shutDown(ctx: Context, hetzner: Hetzner, server: Server): Promise<void> {
  await hetzner.untilDone(await hetzner.shutdown(server.id), `the shutdown of ${server.name}`);
  const end = ctx.clock.now().getTime() + OFF_MS;
  while ((await hetzner.server(server.id)).status !== 'off') {
    if (ctx.clock.now().getTime() >= end)
      throw new BkpError('failed', `${server.name} has not shut down in ${OFF_MS / 60_000} minutes`, { next: 'does it answer ACPI?' });
    await ctx.clock.sleep(LOOK_MS, ctx.signal);
  }
}

async function snapshot(ctx: Context, hetzner: Hetzner, server: Server, id: Id): Promise<Image> {
  const stops = ctx.config.shutdown && server.status === 'running';
  try {
    if (stops) await shutDown(ctx, hetzner, server);
    return await untilAvailable(ctx, hetzner, await begin(ctx, hetzner, server, id), server);
  } finally {
    // A server that was stopped comes back whatever came of the snapshot, also when this run is being ended.
    if (stops) await powerOn({ ...ctx, signal: new AbortController().signal }, server);
  }
}

async function powerOn(ctx: Context, server: Server): Promise<void> {
  const hetzner = hetznerOf(ctx);
  await hetzner.untilDone(await hetzner.powerOn(server.id), `the start of ${server.name}`);
}

/** What this run made is of no use once it failed, and is paid for. */
async function withdraw(ctx: Context, id: Id): Promise<void> {
  const hetzner = hetznerOf({ ...ctx, signal: new AbortController().signal });
  for (const image of await hetzner.snapshots(selectorOf(ctx.base, id))) await hetzner.removeImage(image.id);
}

async function factsOf(hetzner: Hetzner, servers: readonly Server[], images: readonly Image[], at: Date): Promise<Facts> {
  const gb = images.reduce((sum, image) => sum + (image.image_size ?? 0), 0);
  const price = await hetzner.imagePrice();
  return {
    identity: { service: 'hetzner' },
    at,
    needs: images.map(image => ({ held: { by: 'hetzner', id: String(image.id) } })),
    contentBytes: bytesOf(gb),
    baseline: {
      servers: servers.map(({ id, name, status }, n) => ({ id, name, status, image: images[n]!.id, gb: images[n]!.image_size ?? null })),
      ...(price ? { costPerMonth: `${(gb * price.perGbMonth).toFixed(2)} ${price.currency}` } : {}),
    },
    versions: { server: 'Hetzner Cloud API v1' },
    notCovered: servers.flatMap(attachedOf),
    warnings: servers.flatMap(attachedOf),
  };
}

/**
 * A snapshot of each server of the entry, one after the other. Never removes anything to make room.
 * @throws BkpError('refused') where attached volumes would be left out silently; 'failed' when a snapshot does not become available: what
 *   this run made is removed then
 */
export async function* capture(ctx: Context, { id }: { id: Id }): AsyncGenerator<Piece, Facts> {
  const hetzner = hetznerOf(ctx);
  const servers = await chosenServers(ctx, hetzner);
  refuseAttached(ctx, servers);
  const images: Image[] = [];
  // The state of the first is the oldest: no later instant is in all of them.
  const at = ctx.clock.now();
  try {
    for (const server of servers) {
      const image = await snapshot(ctx, hetzner, server, id);
      images.push(image);
      yield { name: `server-${server.id}`, held: heldOf(image, server) };
    }
    return await factsOf(hetzner, servers, images, at);
  } catch (error) {
    await withdraw(ctx, id).catch(problem =>
      ctx.report.emit({
        type: 'warning',
        text: `snapshots of the failed run ${id} stay at Hetzner, for prune to remove: ${sentence(problem)}`,
      }),
    );
    throw error;
  }
}
