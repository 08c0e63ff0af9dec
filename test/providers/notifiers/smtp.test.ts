import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type { Undelivered } from '../../../src/core/notify/types.ts';
import { smtp } from '../../../src/providers/notifiers/smtp.ts';
import { aMessage } from '../../core/notify/message.ts';
import { selfSigned } from '../../real/rig/certificate.ts';
import { cleanUp, waitFor } from '../../real/rig/index.ts';
import { type MailOptions, type MailServer, startMail } from '../../real/rig/mail.ts';

let made: { key: string; cert: string };
const servers: MailServer[] = [];

const aServer = async (options: MailOptions = {}): Promise<MailServer> => {
  const server = await startMail(options);
  servers.push(server);
  return server;
};

const tell = ({ port }: { port: number }, settings: object, ms = 5000) =>
  smtp.send(
    smtp.config.parse({ host: 'localhost', port, from: 'bkp@example.org', to: ['a@example.org', 'b@example.org'], ...settings }),
    aMessage({ title: 'bkp: FÄILED\r\nBcc: evil@example.org' }),
    AbortSignal.timeout(ms),
  );
const why = (sent: Promise<unknown>): Promise<Undelivered> =>
  sent.then(
    () => expect(true).toBe(false),
    error => error,
  ) as Promise<Undelivered>;

beforeAll(async () => {
  made = (await selfSigned('localhost', 'DNS:localhost')).pem;
});

afterEach(() => Promise.all(servers.splice(0).map(server => server.stop())));
afterAll(cleanUp);

it('STARTTLS by default: a server that does not offer it is refused, and nothing is said to it in the clear', async () => {
  const open = await aServer();
  expect((await why(tell(open, { user: 'bkp', password: 'secret' }))).message).toMatch(/STARTTLS/i);
  expect(open.mails).toEqual([]);
  const server = await aServer({ tls: made, account: { user: 'bkp', password: 'p@s%41$x' } });
  expect((await why(tell(server, {}))).message).toMatch(/self-signed certificate/);
  await tell(server, { ca: made.cert, user: 'bkp', password: 'p@s%41$x' });
  expect(server.mails).toEqual([expect.objectContaining({ secure: true, user: 'bkp', to: ['a@example.org', 'b@example.org'] })]);
});

it('TLS from the first byte, and a subject that cannot become a header of its own', async () => {
  const server = await aServer({ tls: { ...made, always: true } });
  await tell(server, { tls: 'always', ca: made.cert });
  const [{ to, text }] = server.mails as [MailServer['mails'][number]];
  expect(to).toEqual(['a@example.org', 'b@example.org']);
  expect(text).not.toMatch(/^Bcc:/m);
});

it('550 for one of the recipients is a failure that stays; 451 may pass; a wrong password is told without it', async () => {
  const server = await aServer({ tls: made, account: { user: 'bkp', password: 'right' } });
  const settings = { ca: made.cert, user: 'bkp', password: 'right' };
  server.refused.add('b@example.org');
  expect(await why(tell(server, settings))).toMatchObject({
    again: false,
    message: expect.stringMatching(/1 of 2 recipients were refused/),
  });
  server.refused.add('a@example.org');
  expect(await why(tell(server, settings))).toMatchObject({ again: false, message: expect.stringMatching(/550/) });
  server.refused.clear();
  server.busy = 1;
  expect(await why(tell(server, settings))).toMatchObject({ again: true, message: expect.stringMatching(/451/) });
  expect(await why(tell(server, { ...settings, password: 'wrong' }))).toMatchObject({ again: false });
});

it('a server that says nothing is left when the signal says so, and its connection is closed', async () => {
  let open = 0;
  const mute = createServer(socket => {
    open += 1;
    socket.on('close', () => {
      open -= 1;
    });
    socket.on('error', () => {});
    socket.resume();
  });
  await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve));
  const { port } = mute.address() as { port: number };
  await expect(tell({ port }, { host: '127.0.0.1' }, 200)).rejects.toMatchObject({ name: 'TimeoutError' });
  await waitFor(() => open === 0, 'the connection to be closed');
  await new Promise(resolve => mute.close(resolve));
});
