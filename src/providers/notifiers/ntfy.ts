import * as z from 'zod';
import type { Message, NotifierKind } from '../../core/notify/types.ts';
import { ca, url } from './fields.ts';
import { secretsOf, send } from './http.ts';

const config = z.strictObject({
  url: url.describe('address of the topic, e.g. https://ntfy.sh/TOPIC'),
  token: z.string().min(1).optional().describe('access token'),
  ca,
});

/** 1 = lowest, 5 = highest (ntfy, "Message priority"). */
const PRIORITY: Readonly<Record<Message['event'], number>> = {
  failure: 5,
  late: 4,
  partial: 4,
  recovered: 3,
  success: 2,
  start: 1,
  test: 3,
};

/** Names that ntfy shows as signs. */
const TAG: Readonly<Record<Message['event'], string>> = {
  failure: 'rotating_light',
  late: 'hourglass',
  partial: 'warning',
  recovered: 'white_check_mark',
  success: 'white_check_mark',
  start: 'arrow_forward',
  test: 'test_tube',
};

/** Published as JSON to the server itself, since headers hold no text beyond ASCII; the topic goes into the body. */
export const ntfy: NotifierKind<z.infer<typeof config>> = {
  config,
  on: ['failure', 'partial', 'late', 'recovered'],
  secrets: settings => secretsOf(settings.url),
  async send(settings, { event, title, message }, signal) {
    const server = new URL(settings.url);
    const parts = server.pathname.split('/').filter(part => part !== '');
    const topic = decodeURIComponent(parts.pop() ?? '');
    server.pathname = `/${parts.join('/')}`;
    const { username, password } = server;
    server.username = '';
    server.password = '';
    const basic = username
      ? `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`
      : undefined;
    const authorization = settings.token ? `Bearer ${settings.token}` : basic;
    const headers = { 'content-type': 'application/json', ...(authorization ? { authorization } : {}) };
    const body = JSON.stringify({ topic, title, message, priority: PRIORITY[event], tags: [TAG[event]] });
    await send({ url: server.href, headers, body, ca: settings.ca }, signal);
  },
};
