import * as z from 'zod';
import { type NotifierKind, Undelivered } from '../../core/notify/types.ts';
import { ca, url } from './fields.ts';
import { secretsOf, send } from './http.ts';

const config = z.strictObject({
  url: url.describe("an incoming webhook, of Slack or of what takes the same (Mattermost, Rocket.Chat, Discord's /slack)"),
  ca,
});

/** The three signs that mean something in Slack's texts. */
const plain = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

export const slack: NotifierKind<z.infer<typeof config>> = {
  config,
  on: ['failure', 'partial', 'late', 'recovered'],
  secrets: settings => secretsOf(settings.url),
  async send(settings, { title, message }, signal) {
    const body = JSON.stringify({ text: plain(`${title}\n${message}`) });
    const answer = await send({ url: settings.url, headers: { 'content-type': 'application/json' }, body, ca: settings.ca }, signal);
    // Some proxies and sign-in pages answer everything with 200.
    if (/^\s*<(!doctype|html)/i.test(answer)) throw new Undelivered('a page of HTML came back, so that is no webhook', { again: false });
  },
};
