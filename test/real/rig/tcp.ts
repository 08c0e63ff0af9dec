import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A proxy of bytes before a server on loopback. Tests change what it does at any time. */
export interface TcpProxy {
  readonly port: number;
  /** Connections that are cut once the server has sent so many bytes on them; each cut takes one away. */
  cuts: number[];
  /** Bytes a second towards the client; undefined = as fast as they come. */
  rate: number | undefined;
  stop(): Promise<void>;
}

function carry(proxy: TcpProxy, from: Socket, to: Socket): void {
  let sent = 0;
  from.on('data', chunk => {
    sent += chunk.length;
    to.write(chunk);
    const [cut] = proxy.cuts;
    if (cut !== undefined && sent > cut) {
      proxy.cuts.shift();
      from.destroy();
      to.destroy();
    } else if (proxy.rate) {
      from.pause();
      setTimeout(() => from.resume(), (chunk.length / proxy.rate) * 1000);
    }
  });
}

/** Starts a proxy before the server at a port of loopback. The caller stops it. */
export async function startTcpProxy(behind: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const server: Server = createServer(client => {
    const origin = connect(behind, '127.0.0.1');
    for (const [one, other] of [
      [client, origin],
      [origin, client],
    ] as const) {
      sockets.add(one);
      one.once('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.on('error', () => other.destroy());
    }
    client.pipe(origin);
    carry(proxy, origin, client);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const proxy: TcpProxy = {
    port: (server.address() as AddressInfo).port,
    cuts: [],
    rate: undefined,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise(resolve => server.close(() => resolve()));
    },
  };
  return proxy;
}
