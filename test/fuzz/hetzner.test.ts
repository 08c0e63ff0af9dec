import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Clock } from '../../src/core/contracts.ts';
import { type Hetzner, openHetzner } from '../../src/providers/hetzner/index.ts';
import { type Listener, startListener } from '../real/rig/listener.ts';
import { allChanged, change } from './mutate.ts';
import { RUNS, toldLater } from './told.ts';

let server: Listener;
beforeAll(async () => {
  server = await startListener();
});
afterAll(() => server.stop());

/** A clock on which nothing takes time, and an hour is over at once. */
function clock(): Clock {
  let now = 0;
  return {
    now: () => new Date(now),
    sleep: async ms => {
      now += ms;
    },
  };
}
const open = (): Hetzner => openHetzner({ token: 'token', endpoint: server.address, clock: clock(), signal: new AbortController().signal });

const image = {
  id: 7,
  type: 'snapshot',
  status: 'available',
  description: 'd',
  created: '2026-01-15T02:00:00Z',
  image_size: 2.5,
  disk_size: 40,
  architecture: 'x86',
  labels: { a: 'b' },
  created_from: { id: 1, name: 'n' },
  protection: { delete: true },
};
const machine = {
  id: 1,
  name: 'n',
  status: 'running',
  labels: {},
  locked: false,
  volumes: [3],
  primary_disk_size: 40,
  server_type: { name: 'cx', architecture: 'x86', disk: 40 },
};
const volume = { id: 3, name: 'v', size: 10, server: 1, linux_device: '/dev/x', labels: {} };
const action = { id: 9, command: 'c', status: 'success', progress: 100, error: null };
const meta = { pagination: { page: 1, per_page: 50, next_page: null } };

/** Everything that bkp reads, in one answer that fits each question. */
const whole = {
  images: [image],
  image,
  servers: [machine],
  server: machine,
  volumes: [volume],
  action,
  server_types: [machine.server_type],
  pricing: { currency: 'EUR', image: { price_per_gb_month: { net: '0.0110' } } },
  meta,
};

const QUESTIONS: Readonly<Record<string, (hetzner: Hetzner) => Promise<unknown>>> = {
  servers: async hetzner => {
    for (const { id, volumes, locked } of await hetzner.servers()) sound([id, ...volumes], [locked]);
  },
  volumes: async hetzner => {
    for (const { id, size, server: of = 0 } of await hetzner.volumes()) sound([id, size, of]);
  },
  snapshots: async hetzner => {
    for (const { id, protection, image_size = 0, disk_size = 0 } of await hetzner.snapshots())
      sound([id, image_size, disk_size], [protection.delete]);
  },
  image: async hetzner => sound([(await hetzner.image(7)).id]),
  snapshot: async hetzner => {
    const made = await hetzner.createSnapshot(1, 'd', {});
    sound([made.image.id, made.action.id]);
    await hetzner.untilDone(made.action, 'the snapshot');
  },
  running: async hetzner => {
    const begun = { id: 9, command: 'c', status: 'running', progress: 0, error: null };
    await hetzner.untilDone(begun, 'the snapshot', percent => sound([percent]));
  },
  type: async hetzner => sound([(await hetzner.serverType('cx'))?.disk ?? 0]),
  price: async hetzner => {
    const price = await hetzner.imagePrice();
    sound([price?.perGbMonth ?? 1]);
    expect(price === undefined || price.perGbMonth > 0).toBe(true);
    expect(typeof (price?.currency ?? '')).toBe('string');
  },
  remove: hetzner => hetzner.removeImage(7),
  rebuild: async hetzner => sound([(await hetzner.rebuild(1, 7)).id]),
};

/** Numbers that are some, and truths that are some. */
function sound(numbers: readonly number[], truths: readonly boolean[] = []): void {
  for (const number of numbers) expect(Number.isFinite(number) && number >= 0).toBe(true);
  for (const truth of truths) expect(typeof truth).toBe('boolean');
}

const HEADERS = [{ 'content-type': 'application/json' }, { 'content-type': 'text/html' }, {}];
const bodies = fc.oneof(
  { weight: 8, arbitrary: fc.array(change, { maxLength: 2 }).map(all => JSON.stringify(allChanged(whole, all)) ?? '') },
  fc.constantFrom('', 'null', '[]', '0', '"text"', '{', '<html>502</html>', '{"action":null}', '{"images":{}}'),
  fc.json(),
);
const answers = fc.record({
  status: fc.constantFrom(200, 200, 200, 201, 204, 301, 400, 403, 404, 409, 423, 429, 500, 503),
  body: bodies,
  headers: fc.constantFrom(...HEADERS),
});

describe('whatever Hetzner answers', () => {
  it.each(Object.keys(QUESTIONS))(
    '%s: numbers are numbers, or it is refused in words, after a number of questions that has an end',
    async name => {
      await fc.assert(
        fc.asyncProperty(answers, async ({ status, body, headers }) => {
          server.asked.length = 0;
          server.act = (_, response) =>
            void response.writeHead(status, headers as Record<string, string>).end(status === 204 ? undefined : body);
          await toldLater(() => QUESTIONS[name]!(open()));
          expect(server.asked.length).toBeLessThan(400);
        }),
        { numRuns: Math.ceil(RUNS / 8) },
      );
    },
  );

  it('a next page for ever comes to an end', async () => {
    let page = 1;
    server.act = (_, response) => {
      page += 1;
      response
        .writeHead(200, HEADERS[0])
        .end(JSON.stringify({ images: [], meta: { pagination: { next_page: page % 3 === 0 ? 1 : page } } }));
    };
    expect(await toldLater(() => open().snapshots())).toMatchObject({ error: { exit: 'failed' } });
  });
});
