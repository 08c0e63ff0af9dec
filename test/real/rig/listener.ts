import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecure } from 'node:https';
import type { AddressInfo } from 'node:net';

/** One request as it came. */
export interface Asked {
  method: string;
  /** Path with what follows the question mark. */
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** A server of one's own that keeps what it is asked. Tests change what it does at any time. */
export interface Listener {
  /** `http://127.0.0.1:PORT`, or https. */
  address: string;
  asked: Asked[];
  /** Answers a request; by default with 200 and `ok`. */
  act: (asked: Asked, answer: ServerResponse, nth: number) => void;
  stop(): Promise<void>;
}

const textOf = async (request: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
};

/** Starts one on a free port of loopback; with a certificate over TLS. The caller stops it. */
export async function startListener(tls?: { key: string; cert: string }): Promise<Listener> {
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = request;
    const asked = { method, url, headers: headers as Record<string, string>, body: await textOf(request) };
    listener.asked.push(asked);
    listener.act(asked, response, listener.asked.length);
  };
  const server: Server = tls ? createSecure(tls, serve) : createServer(serve);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const listener: Listener = {
    address: `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${(server.address() as AddressInfo).port}`,
    asked: [],
    act: (_, answer) => void answer.end('ok'),
    stop: () => {
      server.closeAllConnections();
      return new Promise(resolve => server.close(() => resolve()));
    },
  };
  return listener;
}
