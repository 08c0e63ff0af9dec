import { formatAge } from '../../../core/age.ts';
import { chooseBackup } from '../../../core/choose.ts';
import type { Held, Id, Known, Manifest, Reached, RestoreRequest } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { Hetzner, Image } from '../../hetzner/index.ts';
import { type Context, hetznerOf } from './context.ts';

type Options = NonNullable<RestoreRequest['options']>;

const text = (options: Options, name: string): string | undefined =>
  typeof options[name] === 'string' ? (options[name] as string) : undefined;

function numberOf(options: Options, name: string): number | undefined {
  const value = text(options, name);
  if (value === undefined) return undefined;
  if (/^[1-9]\d{0,15}$/.test(value)) return Number(value);
  throw new BkpError('usage', `--${name} is the id of a server, and "${value}" is none`);
}

/** The snapshot of one server in a backup. Throws BkpError('usage' | 'notFound') naming those that there are. */
function heldOf(manifest: Manifest, server: number | undefined): Held {
  const held = manifest.pieces.flatMap(piece => ('held' in piece && piece.held.by === 'hetzner' ? [piece.held] : []));
  const names = held.map(({ detail }) => `${detail?.['server']} (${detail?.['name']})`).join(', ');
  if (server === undefined && held.length > 1)
    throw new BkpError('usage', `backup ${manifest.id} has the snapshots of ${held.length} servers`, {
      next: `--server with one of: ${names}`,
    });
  const found = held.find(({ detail }) => server === undefined || detail?.['server'] === String(server));
  if (found) return found;
  throw new BkpError('notFound', `backup ${manifest.id} has no snapshot of server ${server}`, { next: `it has: ${names}` });
}

/** What is to be done, looked at and not begun. */
interface Step {
  plan: string[];
  /** What is destroyed: a backup of it is taken first. */
  destroys: boolean;
  run(): Promise<{ server: number; name: string }>;
}

function refuseUnfit(image: Image, disk: number, architecture: string, what: string): void {
  if (image.architecture && architecture && image.architecture !== architecture)
    throw new BkpError('refused', `snapshot ${image.id} is of ${image.architecture}, and ${what} is ${architecture}`);
  if (image.disk_size !== undefined && disk < image.disk_size)
    throw new BkpError('refused', `snapshot ${image.id} needs a disk of ${image.disk_size} GB, and ${what} has ${disk} GB`);
}

async function newServer(hetzner: Hetzner, image: Image, held: Held, name: string, options: Options): Promise<Step> {
  const wanted = text(options, 'server-type') ?? held.detail?.['type'] ?? '';
  const type = await hetzner.serverType(wanted);
  if (!type) throw new BkpError('refused', `Hetzner has no type of server "${wanted}"`, { next: '--server-type names one' });
  refuseUnfit(image, type.disk, type.architecture, `type ${type.name}`);
  const location = text(options, 'location');
  return {
    plan: [`snapshot ${image.id} → new server ${name} of type ${type.name}${location ? ` in ${location}` : ''}`],
    destroys: false,
    async run() {
      const made = await hetzner.createServer({
        name,
        server_type: type.name,
        image: image.id,
        labels: { 'bkp-restored': String(held.detail?.['server']) },
        ...(location ? { location } : {}),
      });
      await hetzner.untilDone(made.action, `the making of ${name}`);
      return { server: made.server.id, name };
    },
  };
}

async function rebuild(hetzner: Hetzner, image: Image, id: number): Promise<Step> {
  const server = await hetzner.server(id);
  refuseUnfit(image, server.primary_disk_size ?? 0, server.server_type?.architecture ?? '', `server ${server.name}`);
  return {
    plan: [
      `snapshot ${image.id} → server ${server.name} (${id}), in place`,
      `EVERYTHING on the disk of ${server.name} is DESTROYED; a backup of this entry is taken first`,
    ],
    destroys: true,
    async run() {
      await hetzner.untilDone(await hetzner.rebuild(id, image.id), `the rebuild of ${server.name}`);
      return { server: id, name: server.name };
    },
  };
}

async function stepOf(hetzner: Hetzner, image: Image, held: Held, options: Options): Promise<Step> {
  const [name, id] = [text(options, 'new-server'), numberOf(options, 'rebuild')];
  if ((name === undefined) === (id === undefined))
    throw new BkpError('usage', 'a snapshot becomes a new server, or is written over one', { next: ['--new-server NAME', '--rebuild ID'] });
  if (id === undefined) return newServer(hetzner, image, held, name!, options);
  const stray = ['server-type', 'location'].find(each => text(options, each) !== undefined);
  if (stray) throw new BkpError('usage', `--${stray} is for a new server: --rebuild keeps the type and the place of server ${id}`);
  return rebuild(hetzner, image, id);
}

/**
 * Makes a new server from a snapshot, or writes it over one.
 * @returns undefined after a dry run
 * @throws BkpError('usage' | 'refused' | 'notFound') before anything changes
 */
export async function restore(
  ctx: Context,
  request: RestoreRequest,
  known: readonly Known[],
  begin: (id: Id) => Promise<void>,
): Promise<Reached | undefined> {
  if (!request.online)
    throw new BkpError('usage', 'a snapshot lies at Hetzner and fits into no directory', {
      next: '--online, with --new-server NAME or --rebuild ID',
    });
  const options = request.options ?? {};
  const now = ctx.clock.now();
  const { manifest } = chooseBackup(known, request.want, `volumes/${ctx.name}`, now);
  const held = heldOf(manifest, numberOf(options, 'server'));
  const hetzner = hetznerOf(ctx);
  const image = await hetzner.image(Number(held.id));
  if (image.status !== 'available') throw new BkpError('refused', `snapshot ${image.id} is "${image.status}" at Hetzner, not available`);
  const step = await stepOf(hetzner, image, held, options);
  const at = new Date(manifest.recoveryPointAt);
  const plan = [
    `volumes/${ctx.name} of ${ctx.env}: backup ${manifest.id} of ${manifest.recoveryPointAt} (${formatAge(at, now)})`,
    ...step.plan,
  ];
  if (request.dryRun) {
    for (const line of plan) ctx.report.emit({ type: 'note', text: line });
    return undefined;
  }
  await request.confirm(plan);
  await begin(manifest.id);
  const before = step.destroys ? await request.secure?.() : undefined;
  const { server, name } = await step.run();
  return {
    at,
    facts: { backup: manifest.id, server, image: image.id, ...(before ? { before } : {}) },
    next: [
      `server ${name} (${server}) starts from the snapshot: hcloud server describe ${server}`,
      ...(before ? [`what was on it before is in backup ${before}`] : []),
      ...manifest.notCovered.map(each => `not in it: ${each}`),
    ],
  };
}
