import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

/** One mail as it came. */
export interface Mail {
  from: string;
  to: string[];
  /** Headers and body, CRLF. */
  text: string;
  secure: boolean;
  user?: string;
}

export interface MailOptions {
  /** Certificate for STARTTLS, or from the first byte with `always`. */
  tls?: { key: string; cert: string; always?: boolean };
  /** Whom it lets in; nobody has to sign in otherwise. */
  account?: { user: string; password: string };
}

/** A real SMTP server that keeps what it takes. Tests change what it does at any time. */
export interface MailServer {
  port: number;
  mails: Mail[];
  /** Recipients that it refuses with 550. */
  refused: Set<string>;
  /** Answers of 4xx that it gives to whole mails before it takes one. */
  busy: number;
  stop(): Promise<void>;
}

const fault = (responseCode: number, text: string): Error => Object.assign(new Error(text), { responseCode });

/** Starts one on a free port of loopback. The caller stops it. */
export async function startMail({ tls, account }: MailOptions = {}): Promise<MailServer> {
  const mail: MailServer = {
    port: 0,
    mails: [],
    refused: new Set(),
    busy: 0,
    stop: () => new Promise(resolve => server.close(() => resolve())),
  };
  const server = new SMTPServer({
    ...(tls ? { key: tls.key, cert: tls.cert, secure: tls.always ?? false } : { disabledCommands: ['STARTTLS'] }),
    authOptional: account === undefined,
    allowInsecureAuth: true,
    closeTimeout: 500,
    onAuth({ username, password }, _, done) {
      if (username === account?.user && password === account?.password) done(null, { user: username });
      else done(fault(535, `535 no such account for ${password}`));
    },
    onRcptTo({ address }, _, done) {
      done(mail.refused.has(address) ? fault(550, 'no such user here') : null);
    },
    async onData(stream, session, done) {
      let text = '';
      for await (const chunk of stream) text += chunk.toString('utf8');
      if (mail.busy > 0) {
        mail.busy -= 1;
        done(fault(451, 'try again later'));
        return;
      }
      const { mailFrom, rcptTo } = session.envelope;
      mail.mails.push({
        from: mailFrom ? mailFrom.address : '',
        to: rcptTo.map(({ address }) => address),
        text,
        secure: session.secure,
        ...(typeof session.user === 'string' ? { user: session.user } : {}),
      });
      done(null);
    },
  });
  server.on('error', () => {}); // A client that breaks off is no end of the server.
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()));
  mail.port = (server.server.address() as AddressInfo).port;
  return mail;
}
