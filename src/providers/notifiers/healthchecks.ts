import * as z from 'zod';
import type { NotifierKind } from '../../core/notify/types.ts';
import { ca, url } from './fields.ts';
import { secretsOf, send } from './http.ts';

const config = z.strictObject({ url: url.describe('ping address of one check, without a suffix'), ca });

/**
 * Where a ping goes: `/start` before a run, and `/<exit code>` after it, of which 0 is a success and anything else a failure
 * (healthchecks.io, "Signaling failures"). The codes of bkp stand below 256. `rid` ties start and end together.
 */
export function pingAddress(base: string, { event, code, run }: { event: string; code: number; run: string }): string {
  const address = new URL(base);
  const suffix = event === 'start' ? 'start' : event === 'test' ? 'log' : String(code);
  address.pathname = `${address.pathname.replace(/\/+$/, '')}/${suffix}`;
  if (event !== 'test') address.searchParams.set('rid', run);
  return address.href;
}

/** Pings in the manner of healthchecks.io: a check that hears nothing for too long alarms by itself. */
export const healthchecks: NotifierKind<z.infer<typeof config>> = {
  config,
  on: ['start', 'success', 'recovered', 'partial', 'late', 'failure'],
  counts: true,
  secrets: settings => secretsOf(settings.url),
  async send(settings, message, signal) {
    const headers = { 'content-type': 'text/plain; charset=utf-8' };
    const body = `${message.title}\n${message.message}\n`;
    await send({ url: pingAddress(settings.url, message), headers, body, ca: settings.ca }, signal);
  },
};
