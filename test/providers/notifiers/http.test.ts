import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Undelivered } from '../../../src/core/notify/types.ts';
import { pingAddress } from '../../../src/providers/notifiers/healthchecks.ts';
import { send } from '../../../src/providers/notifiers/http.ts';
import { notifiers } from '../../../src/providers/notifiers/index.ts';
import { aMessage } from '../../core/notify/message.ts';
import { selfSigned } from '../../real/rig/certificate.ts';
import { cleanUp } from '../../real/rig/index.ts';
import { type Listener, startListener } from '../../real/rig/listener.ts';

let web: Listener;
let secure: Listener;
let ca: string;

const patience = () => AbortSignal.timeout(5000);
const tell = (type: string, settings: object, change = {}) =>
  notifiers[type]!.send(notifiers[type]!.config.parse(settings), aMessage(change), patience());
const why = (sent: Promise<unknown>): Promise<Undelivered> =>
  sent.then(
    () => expect(true).toBe(false),
    error => error,
  ) as Promise<Undelivered>;

beforeAll(async () => {
  const made = (await selfSigned('localhost', 'DNS:localhost')).pem;
  ca = made.cert;
  [web, secure] = await Promise.all([startListener(), startListener(made)]);
});

beforeEach(() => {
  web.asked.length = 0;
  web.act = (_, answer) => void answer.end('ok');
});

afterAll(async () => {
  await Promise.all([web?.stop(), secure?.stop()]);
  await cleanUp();
});

it('healthchecks: start, the exit code, log for a test; after a slug and beside what the address has already', () => {
  const at = (base: string, event: string, code = 0) => pingAddress(base, { event, code, run: 'r' });
  expect(at('https://hc.example.org/uuid', 'start')).toBe('https://hc.example.org/uuid/start?rid=r');
  expect(at('https://hc.example.org/key/slug/?create=1', 'failure', 9)).toBe('https://hc.example.org/key/slug/9?create=1&rid=r');
  expect(at('https://hc.example.org/uuid', 'recovered')).toBe('https://hc.example.org/uuid/0?rid=r');
  expect(at('https://hc.example.org/uuid', 'test')).toBe('https://hc.example.org/uuid/log');
});

it('slack: its three signs are no signs in what is told', async () => {
  await tell('slack', { url: web.address }, { message: '<!channel> & <@U1>' });
  expect(JSON.parse(web.asked[0]!.body).text).toMatch(/\n&lt;!channel&gt; &amp; &lt;@U1&gt;$/);
  web.act = (_, answer) => void answer.end('<!DOCTYPE html><p>Sign in');
  expect((await why(tell('slack', { url: web.address }))).message).toMatch(/a page of HTML/);
});

it('ntfy: the topic goes into the body, names beyond ASCII arrive, a user and a password become a header', async () => {
  const address = new URL('/ops%20alerts', web.address);
  address.username = 'me';
  address.password = 'p:w';
  await tell('ntfy', { url: address.href }, { title: 'ünïcödé ☃' });
  const [{ url, headers, body }] = web.asked as [(typeof web.asked)[number]];
  expect({ url, auth: headers['authorization'] }).toEqual({ url: '/', auth: `Basic ${Buffer.from('me:p:w').toString('base64')}` });
  expect(JSON.parse(body)).toMatchObject({ topic: 'ops alerts', title: 'ünïcödé ☃', priority: 5 });
});

it('webhook: method, headers, a template escaped by its type; nothing in the body of a GET', async () => {
  const message = 'a "quoted"\nline & more';
  await tell('webhook', { url: web.address, body: '{"text":"{{message}}"}' }, { message });
  await tell(
    'webhook',
    { url: web.address, method: 'PUT', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: 'm={{message}}' },
    { message },
  );
  await tell('webhook', { url: web.address, method: 'GET' });
  const [json, form, get] = web.asked as [any, any, any];
  expect(JSON.parse(json.body)).toEqual({ text: message });
  expect([form.method, new URLSearchParams(form.body).get('m'), form.headers['content-type']]).toEqual([
    'PUT',
    message,
    'application/x-www-form-urlencoded',
  ]);
  expect([get.method, get.body]).toEqual(['GET', '']);
});

it('TLS: a server whose authority is not known is refused, and taken with `ca`', async () => {
  for (const type of ['slack', 'webhook', 'ntfy', 'healthchecks']) {
    const url = `${secure.address}/topic`;
    expect((await why(tell(type, { url }))).message).toMatch(/^localhost:\d+: self-signed certificate/);
    await tell(type, { url, ca });
  }
  expect(secure.asked).toHaveLength(4);
});

it('what may pass is worth another try, what does not is none, and a redirect is not followed', async () => {
  const answered = async (status: number, headers = {}): Promise<Undelivered> => {
    web.act = (_, answer) => void answer.writeHead(status, headers).end('why\n\u001b[31mred');
    return why(send({ url: web.address }, patience()));
  };
  const again = [];
  for (const status of [408, 429, 500, 503, 400, 401, 404, 410]) again.push((await answered(status)).again);
  expect(again).toEqual([true, true, true, true, false, false, false, false]);
  const before = web.asked.length;
  expect((await answered(307, { location: `${web.address}/elsewhere` })).message).toMatch(/a redirect, and those are not followed$/);
  expect(web.asked.length).toBe(before + 1);
  expect((await answered(400)).message).toMatch(/answered 400 why \[31mred$/);
  expect(await answered(429, { 'retry-after': '7' })).toMatchObject({ waitMs: 7000 });
  web.act = (_, answer) => void answer.socket?.destroy();
  expect(await why(send({ url: web.address }, patience()))).toMatchObject({
    again: true,
    message: expect.stringMatching(/broke the connection off|socket hang up/),
  });
});

it('one that hangs is left when the signal says so, before its head and in the middle of its body', async () => {
  for (const act of [() => {}, (_: unknown, answer: any) => void answer.writeHead(200).write('o')]) {
    web.act = act;
    await expect(send({ url: web.address }, AbortSignal.timeout(150))).rejects.toMatchObject({ name: 'TimeoutError' });
  }
});

it('secrets: what in an address is telling, decoded too, and no ordinary word', () => {
  const found = notifiers['webhook']!.secrets(
    notifiers['webhook']!.config.parse({
      url: 'https://u%40x:pw@h.example.org/services/backup/T0AB%2FC12?sig=abc%3D123456',
      headers: { Authorization: 'Bearer abc' },
    }),
  );
  expect(found).toEqual(expect.arrayContaining(['T0AB%2FC12', 'T0AB/C12', 'abc=123456', 'u@x', 'pw', 'Bearer abc', 'abc']));
  expect(found).not.toEqual(expect.arrayContaining(['services']));
  expect(found).not.toEqual(expect.arrayContaining(['backup']));
});
