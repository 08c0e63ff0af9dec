import * as z from 'zod';
import { type NotifierKind, Undelivered } from '../../core/notify/types.ts';
import { ca } from './fields.ts';
import { oneLine } from './http.ts';

const text = z.string().min(1);
const address = text.regex(/^[^\r\n]+$/);

const config = z.strictObject({
  host: text.describe('name of the mail server'),
  port: z.int().min(1).max(65535).optional().describe('default: 465 with `tls: always`, else 587'),
  tls: z
    .enum(['always', 'starttls', 'never'])
    .default('starttls')
    .describe('`always` = from the first byte; `starttls` = a server that does not offer it is refused; `never` = in the clear'),
  user: text.optional(),
  password: text.optional(),
  from: address.describe('sender, e.g. bkp@example.org'),
  to: z.array(address).min(1).describe('recipients'),
  ca,
});

type Settings = z.infer<typeof config>;

interface MailFault {
  code?: string;
  responseCode?: number;
  response?: string;
  message: string;
}

/** A permanent answer (5xx) and wrong credentials stay what they are; an answer of 4xx and a broken connection may pass (RFC 5321, 4.2.1). */
function undelivered(host: string, error: unknown): Undelivered {
  if (error instanceof Undelivered) return error;
  const { code, responseCode, message } = error as MailFault;
  const again = responseCode === undefined ? code !== 'EAUTH' && code !== 'EENVELOPE' : responseCode < 500;
  return new Undelivered(`${host}: ${oneLine(message)}`, { again, cause: error });
}

/** Milliseconds within which a step of the conversation has to come; the whole is bounded by the signal. */
const STEP_MS = 30_000;

function options({ host, port, tls, user, password, ca: authority }: Settings) {
  return {
    host,
    port: port ?? (tls === 'always' ? 465 : 587),
    secure: tls === 'always',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'never',
    ...(authority === undefined ? {} : { tls: { ca: authority } }),
    ...(user === undefined ? {} : { auth: { user, pass: password ?? '' } }),
    connectionTimeout: STEP_MS,
    greetingTimeout: STEP_MS,
    socketTimeout: STEP_MS,
  };
}

/** Mail by nodemailer, which is loaded when a mail goes out and not before. A recipient that is refused is a mail that did not arrive. */
export const smtp: NotifierKind<Settings> = {
  config,
  on: ['failure', 'partial', 'late', 'recovered'],
  secrets: ({ password }) => (password === undefined ? [] : [password, Buffer.from(password).toString('base64')]),
  async send(settings, { title, message, at, run }, signal) {
    const { createTransport } = await import('nodemailer');
    const transport = createTransport(options(settings));
    const mail = {
      from: settings.from,
      to: settings.to,
      subject: title,
      text: `${message}\n\n${at}\n`,
      headers: { 'X-Bkp-Run': run },
      signal,
    };
    try {
      const { rejected } = await transport.sendMail(mail);
      if (rejected.length > 0)
        throw new Undelivered(`${settings.host}: ${rejected.length} of ${settings.to.length} recipients were refused`, { again: false });
    } catch (error) {
      signal.throwIfAborted();
      throw undelivered(settings.host, error);
    } finally {
      transport.close();
    }
  },
};
