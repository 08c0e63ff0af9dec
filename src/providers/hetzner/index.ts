import type { Clock } from '../../core/contracts.ts';
import { BkpError } from '../../core/errors.ts';
import { type ClientOptions, makeClient } from './client.ts';
import { everyPage, PER_PAGE } from './pages.ts';
import { type Action, action, type Image, image, pricing, read, type Server, server, serverType, type Volume, volume } from './shapes.ts';

export type { Action, Image, Server, Volume } from './shapes.ts';

/** An action is looked at after 2 s first, then ever less often, and given up after an hour. Milliseconds. */
const FIRST_LOOK_MS = 2000;
const LAST_LOOK_MS = 15_000;
const CAP_MS = 3_600_000;

/** A server that is made from an image. */
export interface NewServer {
  name: string;
  server_type: string;
  image: number;
  location?: string;
  labels: Readonly<Record<string, string>>;
}

/** Hetzner Cloud, as far as bkp needs it. Everything throws what `Client.call` throws. */
export interface Hetzner {
  /** All, or those of a label selector. */
  servers(selector?: string): Promise<Server[]>;
  server(id: number): Promise<Server>;
  volumes(): Promise<Volume[]>;
  /** Snapshots of the project, or those of a label selector, newest first. */
  snapshots(selector?: string): Promise<Image[]>;
  image(id: number): Promise<Image>;
  createSnapshot(of: number, description: string, labels: Readonly<Record<string, string>>): Promise<{ image: Image; action: Action }>;
  removeImage(id: number): Promise<void>;
  shutdown(id: number): Promise<Action>;
  powerOn(id: number): Promise<Action>;
  /** Destroys the disk of the server. */
  rebuild(id: number, from: number): Promise<Action>;
  /** A type of server by its name; undefined when there is none. */
  serverType(name: string): Promise<{ name: string; architecture: string; disk: number } | undefined>;
  createServer(wanted: NewServer): Promise<{ server: Server; action: Action }>;
  /** Price of a GB of image for a month, net, with its currency; undefined when the list does not say. */
  imagePrice(): Promise<{ perGbMonth: number; currency: string } | undefined>;
  /** Waits until an action has ended well. `onProgress` gets percent. Throws BkpError('failed') when it failed, or takes over an hour. */
  untilDone(action: Action, what: string, onProgress?: (percent: number) => void): Promise<void>;
}

const of = (answer: unknown, key: string): unknown => (answer as Record<string, unknown> | null | undefined)?.[key];

/** Opens the API with a token of one project. */
export function openHetzner(options: ClientOptions): Hetzner {
  const client = makeClient(options);
  const { clock, signal } = options;

  const list = async <T>(what: string, key: string, ask: (page: number) => Promise<unknown>, shape: Parameters<typeof read<T>>[0]) =>
    (await everyPage<unknown>(what, key, ask)).map(each => read(shape, each, what));

  const act = async (id: number, name: 'shutdown' | 'poweron'): Promise<Action> => {
    const what = `POST /servers/${id}/actions/${name}`;
    const answer = await client.call(what, true, api => api.POST(`/servers/{id}/actions/${name}`, { params: { path: { id } } }));
    return read(action, of(answer, 'action'), what);
  };

  return {
    servers: selector =>
      list(
        'GET /servers',
        'servers',
        page =>
          client.call('GET /servers', false, api =>
            api.GET('/servers', { params: { query: { page, per_page: PER_PAGE, ...(selector ? { label_selector: selector } : {}) } } }),
          ),
        server,
      ),
    async server(id) {
      const what = `GET /servers/${id}`;
      return read(
        server,
        of(await client.call(what, false, api => api.GET('/servers/{id}', { params: { path: { id } } })), 'server'),
        what,
      );
    },
    volumes: () =>
      list(
        'GET /volumes',
        'volumes',
        page => client.call('GET /volumes', false, api => api.GET('/volumes', { params: { query: { page, per_page: PER_PAGE } } })),
        volume,
      ),
    async snapshots(selector) {
      const query = {
        type: ['snapshot' as const],
        sort: ['created:desc' as const],
        per_page: PER_PAGE,
        ...(selector ? { label_selector: selector } : {}),
      };
      const ask = (page: number) => client.call('GET /images', false, api => api.GET('/images', { params: { query: { ...query, page } } }));
      const found = await list('GET /images', 'images', ask, image);
      return found.filter(({ type }) => type === 'snapshot').sort((a, b) => Date.parse(b.created) - Date.parse(a.created));
    },
    async image(id) {
      const what = `GET /images/${id}`;
      return read(image, of(await client.call(what, false, api => api.GET('/images/{id}', { params: { path: { id } } })), 'image'), what);
    },
    async createSnapshot(id, description, labels) {
      const what = `POST /servers/${id}/actions/create_image`;
      const answer = await client.call(what, true, api =>
        api.POST('/servers/{id}/actions/create_image', {
          params: { path: { id } },
          body: { type: 'snapshot', description, labels: { ...labels } },
        }),
      );
      return { image: read(image, of(answer, 'image'), what), action: read(action, of(answer, 'action'), what) };
    },
    async removeImage(id) {
      await client.call(`DELETE /images/${id}`, true, api => api.DELETE('/images/{id}', { params: { path: { id } } }));
    },
    shutdown: id => act(id, 'shutdown'),
    powerOn: id => act(id, 'poweron'),
    async rebuild(id, from) {
      const what = `POST /servers/${id}/actions/rebuild`;
      const answer = await client.call(what, true, api =>
        api.POST('/servers/{id}/actions/rebuild', { params: { path: { id } }, body: { image: String(from) } }),
      );
      return read(action, of(answer, 'action'), what);
    },
    async serverType(name) {
      const what = 'GET /server_types';
      const ask = (page: number) =>
        client.call(what, false, api => api.GET('/server_types', { params: { query: { name, page, per_page: PER_PAGE } } }));
      const [found] = await list(what, 'server_types', ask, serverType);
      return found;
    },
    async createServer({ labels, image: from, ...wanted }) {
      const what = 'POST /servers';
      const answer = await client.call(what, true, api =>
        api.POST('/servers', { body: { ...wanted, image: String(from), labels: { ...labels }, start_after_create: true } }),
      );
      return { server: read(server, of(answer, 'server'), what), action: read(action, of(answer, 'action'), what) };
    },
    async imagePrice() {
      const answer = await client.call('GET /pricing', false, api => api.GET('/pricing'));
      const { data } = pricing.safeParse(of(answer, 'pricing'));
      return data && { perGbMonth: Number(data.image.price_per_gb_month.net), currency: data.currency };
    },
    untilDone: (begun, what, onProgress) => untilDone(client, { clock, signal }, begun, what, onProgress),
  };
}

async function untilDone(
  client: ReturnType<typeof makeClient>,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  begun: Action,
  what: string,
  onProgress: (percent: number) => void = () => {},
): Promise<void> {
  const end = clock.now().getTime() + CAP_MS;
  let now = begun;
  for (let wait = FIRST_LOOK_MS; now.status === 'running'; wait = Math.min(wait * 1.5, LAST_LOOK_MS)) {
    if (clock.now().getTime() >= end)
      throw new BkpError('failed', `${what} has not ended in ${CAP_MS / 60_000} minutes (action ${begun.id})`, {
        next: 'look at it in the console',
      });
    await clock.sleep(wait, signal);
    const path = { id: begun.id };
    const asked = `GET /actions/${begun.id}`;
    const answer = await client.call(asked, false, api => api.GET('/actions/{id}', { params: { path } }));
    now = read(action, of(answer, 'action'), asked);
    onProgress(now.progress);
  }
  if (now.status === 'success') return;
  const why = now.error?.message || now.error?.code || `its status is "${now.status}"`;
  throw new BkpError('failed', `${what} failed at Hetzner: ${why} (action ${begun.id})`);
}
