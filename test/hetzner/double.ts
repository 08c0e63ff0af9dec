import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OpenAPIBackend } from 'openapi-backend';
import { anImage, type Project, selects } from './state.ts';

const document = JSON.parse(readFileSync(new URL('../../src/providers/hetzner/api/openapi.json', import.meta.url), 'utf8'));

interface Asked {
  method: string;
  path: string;
  query: Record<string, string | string[]>;
  body: any;
}

/** An answer to one request instead of the usual one: status, and a body that may be no JSON; `drop` = the connection ends without one. */
export interface Fault {
  when(asked: Asked): boolean;
  status?: number;
  body?: unknown;
  drop?: boolean;
  /** The request is done all the same, as when a gateway loses the answer. */
  done?: boolean;
  times?: number;
}

export const refusal = (status: number, code: string, message = code): Pick<Fault, 'status' | 'body'> => ({
  status,
  body: { error: { code, message, details: null } },
});

export interface Double {
  endpoint: string;
  project: Project;
  faults: Fault[];
  /** Requests in order, as `GET /images`. */
  seen: string[];
  /** What was asked and is not in Hetzner's document: a test wants this empty. */
  wrong: string[];
  /** How actions end, and after how many looks at them; 0 = before their answer is out. */
  actionsEnd: { looks: number; status: 'success' | 'error' };
  close(): Promise<void>;
}

/** Entries of a page, as every list of the API is cut. */
function paged(key: string, all: readonly unknown[], query: Asked['query']): unknown {
  const perPage = Math.min(Number(query['per_page'] ?? 25), 50);
  const page = Number(query['page'] ?? 1);
  const last = Math.max(1, Math.ceil(all.length / perPage));
  const pagination = {
    page,
    per_page: perPage,
    previous_page: page > 1 ? page - 1 : null,
    next_page: page < last ? page + 1 : null,
    last_page: last,
    total_entries: all.length,
  };
  return { [key]: all.slice((page - 1) * perPage, page * perPage), meta: { pagination } };
}

const of = (query: Asked['query'], key: string): string[] => [query[key] ?? []].flat();

type Answer = [status: number, body?: unknown];

const notFound: Answer = [404, { error: { code: 'not_found', message: 'resource not found', details: null } }];

function begin(double: Double, command: string): Record<string, unknown> {
  const id = ++double.project.ids;
  const action = { id, command, status: 'running', progress: 0, error: null, looks: 0 };
  double.project.actions.set(id, action);
  if (double.actionsEnd.looks === 0 && command !== 'create_image') end(double, action);
  return shown(action);
}

type Action = Project['actions'] extends Map<number, infer A> ? A : never;

const shown = ({ looks: _, ...action }: Action): Record<string, unknown> => ({
  ...action,
  started: '2026-01-15T02:00:00Z',
  finished: null,
  resources: [],
});

/** An action ends, and with it the image that it makes. */
function end({ project, actionsEnd: { status } }: Double, action: Action): void {
  Object.assign(
    action,
    { status, progress: 100 },
    status === 'error' ? { error: { code: 'action_failed', message: 'Action failed' } } : {},
  );
  for (const image of project.images)
    if (image['madeBy'] === action.id)
      Object.assign(image, status === 'success' ? { status: 'available', image_size: 2.5 } : { status: 'unavailable' });
}

function lookAt(double: Double, id: number): Answer {
  const action = double.project.actions.get(id);
  if (!action) return notFound;
  if (action.status === 'running' && ++action.looks >= double.actionsEnd.looks) end(double, action);
  return [200, { action: shown(action) }];
}

function handle(double: Double, { method, path, query, body }: Asked): Answer {
  const { project } = double;
  const [, collection, idText, , verb] = path.split('/');
  const id = Number(idText);
  const route = `${method} ${collection}${idText ? '/id' : ''}${verb ? `/${verb}` : ''}`;
  const server = project.servers.find(each => each['id'] === id);
  const image = project.images.find(each => each['id'] === id);
  const labelled = (all: readonly Record<string, unknown>[]) =>
    all.filter(each => of(query, 'label_selector').every(text => selects(text, each['labels'] as Record<string, string>)));
  switch (route) {
    case 'GET servers':
      return [200, paged('servers', labelled(project.servers), query)];
    case 'GET servers/id':
      return server ? [200, { server }] : notFound;
    case 'GET volumes':
      return [200, paged('volumes', project.volumes, query)];
    case 'GET images':
      return [200, paged('images', labelled(project.images.filter(each => of(query, 'type').includes(String(each['type'])))), query)];
    case 'GET images/id':
      return image ? [200, { image }] : notFound;
    case 'DELETE images/id': {
      if (!image) return notFound;
      if ((image['protection'] as { delete: boolean }).delete)
        return [423, { error: { code: 'protected', message: 'image is protected', details: null } }];
      project.images.splice(project.images.indexOf(image), 1);
      return [204];
    }
    case 'POST servers/id/create_image': {
      if (!server) return notFound;
      const action = begin(double, 'create_image');
      const made = anImage(++project.ids, {
        ...body,
        status: 'creating',
        image_size: null,
        disk_size: server['primary_disk_size'],
        created_from: { id, name: server['name'] },
        created: new Date().toISOString(),
        madeBy: action['id'],
      });
      project.images.unshift(made);
      if (double.actionsEnd.looks === 0) end(double, project.actions.get(Number(action['id']))!);
      return [201, { image: made, action: shown(project.actions.get(Number(action['id']))!) }];
    }
    case 'POST servers/id/shutdown':
    case 'POST servers/id/poweron':
      if (!server) return notFound;
      server['status'] = verb === 'shutdown' ? 'off' : 'running';
      return [201, { action: begin(double, `${verb}`) }];
    case 'POST servers/id/rebuild':
      if (!server) return notFound;
      server['rebuiltFrom'] = body.image;
      return [201, { action: begin(double, 'rebuild_server'), root_password: null }];
    case 'POST servers': {
      const made = { ...project.servers[0], ...body, id: ++project.ids, madeFrom: body.image, status: 'initializing' };
      project.servers.push(made);
      return [201, { server: made, action: begin(double, 'create_server'), next_actions: [], root_password: null }];
    }
    case 'GET actions/id':
      return lookAt(double, id);
    case 'GET server_types': {
      const types = [{ id: 1, name: 'cx22', architecture: 'x86', disk: 40 }].filter(each => of(query, 'name').includes(each.name));
      return [200, paged('server_types', types, query)];
    }
    case 'GET pricing':
      return [
        200,
        { pricing: { currency: 'EUR', vat_rate: '19.00', image: { price_per_gb_month: { net: '0.0110000000', gross: '0.0130900000' } } } },
      ];
    default:
      return notFound;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

function send(response: ServerResponse, [status, body]: Answer): void {
  const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, { 'Content-Type': typeof body === 'string' ? 'text/html' : 'application/json' }).end(text);
}

function queryOf(url: URL): Asked['query'] {
  const query: Asked['query'] = {};
  for (const key of new Set(url.searchParams.keys())) {
    const all = url.searchParams.getAll(key);
    query[key] = all.length > 1 ? all : all[0]!;
  }
  return query;
}

const JSON_TYPE = { 'content-type': 'application/json' };

/** What a request has that Hetzner's document does not know. */
function faultsOf(api: OpenAPIBackend, request: Parameters<OpenAPIBackend['validateRequest']>[0]): string[] {
  const what = `${request.method} ${request.path}?${request.query}`;
  try {
    const { valid, errors } = api.validateRequest(request);
    return valid ? [] : [`${what}: ${JSON.stringify(errors)}`];
  } catch (error) {
    return [`${what}: ${error}`];
  }
}

/**
 * A project at Hetzner Cloud, over HTTP on loopback: it keeps what it was told, cuts its lists into pages, lets actions run for a while, and
 * checks every request against Hetzner's own document. Stands in for the service, which cannot be had in tests.
 */
export async function startHetzner(parts: Partial<Pick<Project, 'servers' | 'images' | 'volumes'>> = {}): Promise<Double> {
  const api = new OpenAPIBackend({ definition: document, strict: true, quick: true, coerceTypes: true, ajvOpts: { strict: false } });
  await api.init();
  const project: Project = {
    token: 'hetzner-token-of-the-test',
    servers: [],
    images: [],
    volumes: [],
    actions: new Map(),
    ids: 1000,
    ...parts,
  };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const text = await bodyOf(request);
    const path = url.pathname.replace(/^\/v1/, '');
    const asked: Asked = { method: request.method ?? '', path, query: queryOf(url), body: text ? JSON.parse(text) : undefined };
    double.seen.push(`${asked.method} ${path}`);
    if (request.headers.authorization !== `Bearer ${project.token}`)
      return send(response, [401, { error: { code: 'unauthorized', message: 'unable to authenticate', details: null } }]);
    double.wrong.push(...faultsOf(api, { method: asked.method, path, query: url.search.slice(1), headers: JSON_TYPE, body: asked.body }));
    const fault = double.faults.find(each => (each.times ?? 1) > 0 && each.when(asked));
    if (!fault) return send(response, handle(double, asked));
    fault.times = (fault.times ?? 1) - 1;
    if (fault.done) handle(double, asked);
    if (fault.drop) return request.socket.destroy();
    return send(response, [fault.status ?? 500, fault.body]);
  });
  await new Promise<void>(ready => server.listen(0, '127.0.0.1', ready));
  const double: Double = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    project,
    faults: [],
    seen: [],
    wrong: [],
    actionsEnd: { looks: 2, status: 'success' },
    close: () =>
      new Promise(closed => {
        server.closeAllConnections();
        server.close(() => closed());
      }),
  };
  return double;
}
