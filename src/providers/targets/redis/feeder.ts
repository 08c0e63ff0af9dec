import { timingSafeEqual } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { BkpError } from '../../../core/errors.ts';

/** A master that has one thing to give: the dump, to the first replica that knows the password. */
export interface Feeder {
  port: number;
  /** How far it is: nobody came yet, the dump is on its way, all of it was sent. */
  state(): 'waiting' | 'sending' | 'sent';
  /** Why the dump cannot be handed over. */
  failure(): BkpError | undefined;
  /** Whether the replica that asked for the dump has ended the connection. */
  left(): boolean;
  /** Bytes of commands that followed the dump: a replica that has them all is at this offset. */
  offset(): number;
  close(): Promise<void>;
}

/** Commands of a replica out of what came so far, and what is left. They come as arrays; a lone line break keeps the connection alive. */
export function readCommands(bytes: Buffer): { commands: string[][]; rest: Buffer } {
  const commands: string[][] = [];
  let at = 0;
  for (;;) {
    while (bytes[at] === 10 || bytes[at] === 13) at += 1;
    const found = oneCommand(bytes, at);
    if (!found) return { commands, rest: bytes.subarray(at) };
    commands.push(found.words);
    at = found.next;
  }
}

function numberLine(bytes: Buffer, at: number, mark: string): { value: number; next: number } | undefined {
  const end = bytes.indexOf('\r\n', at);
  if (end < 0) return undefined;
  const text = bytes.toString('latin1', at, end);
  if (text[0] !== mark || !/^.\d{1,4}$/.test(text)) throw new BkpError('failed', `what came for the dump speaks no protocol of Redis`);
  return { value: Number(text.slice(1)), next: end + 2 };
}

function oneCommand(bytes: Buffer, from: number): { words: string[]; next: number } | undefined {
  if (from >= bytes.length) return undefined;
  const count = numberLine(bytes, from, '*');
  if (!count) return undefined;
  const words: string[] = [];
  let at = count.next;
  for (let n = 0; n < count.value; n += 1) {
    const length = numberLine(bytes, at, '$');
    if (!length || bytes.length < length.next + length.value + 2) return undefined;
    words.push(bytes.toString('utf8', length.next, length.next + length.value));
    at = length.next + length.value + 2;
  }
  return { words, next: at };
}

const PING = '*1\r\n$4\r\nPING\r\n';
const PING_MS = 1000;
/** A replica's commands are short. */
const MOST = 65_536;

const same = (given: string, wanted: string): boolean => {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
};

/**
 * Serves a dump over the replication protocol, as a master does a full resynchronisation: what a replica does with it is the server's own
 * code, and nothing of a server's has to be on this host. Memory stays that of a chunk.
 * @param replid 40 hex digits, the name of the history that begins with the dump
 */
export async function feed(dump: { path: string; bytes: number }, address: string, password: string, replid: string): Promise<Feeder> {
  let state: ReturnType<Feeder['state']> = 'waiting';
  let offset = 0;
  let left = false;
  let failure: BkpError | undefined;
  const fail = (error: BkpError): void => {
    failure ??= error;
  };
  const sockets = new Set<Socket>();

  const keepAlive = (socket: Socket): void => {
    const timer = setInterval(() => {
      if (!socket.writable) return;
      socket.write(PING);
      offset += PING.length;
    }, PING_MS);
    socket.once('close', () => clearInterval(timer));
  };

  const send = async (socket: Socket, full: boolean): Promise<void> => {
    if (state !== 'waiting') {
      fail(new BkpError('failed', 'the server asked for the dump once more: it could not load it', { next: 'look into its log' }));
      socket.destroy();
      return;
    }
    state = 'sending';
    socket.once('close', () => {
      left = true;
    });
    socket.write(`${full ? `+FULLRESYNC ${replid} 0\r\n` : ''}$${dump.bytes}\r\n`);
    await pipeline(createReadStream(dump.path, { highWaterMark: 1 << 20 }), socket, { end: false });
    state = 'sent';
    keepAlive(socket);
  };

  const answer = (socket: Socket, words: readonly string[], may: boolean): boolean => {
    const command = words[0]?.toUpperCase() ?? '';
    if (command === 'AUTH') {
      const right = same(words.at(-1) ?? '', password);
      socket.write(right ? '+OK\r\n' : '-WRONGPASS this is not the password\r\n');
      return right;
    }
    if (!may) socket.write('-NOAUTH Authentication required.\r\n');
    else if (command === 'PING') socket.write('+PONG\r\n');
    else if (command === 'REPLCONF') {
      if (words[1]?.toUpperCase() !== 'ACK') socket.write('+OK\r\n');
    } else if (command === 'PSYNC' || command === 'SYNC') {
      send(socket, command === 'PSYNC').catch(error => {
        const reason = error instanceof Error ? error.message : String(error);
        fail(new BkpError('failed', `the server stopped taking the dump: ${reason}`, { next: 'look into its log; has its disk room?' }));
      });
    } else socket.write(`-ERR unknown command '${command}'\r\n`);
    return may;
  };

  const server = createServer(socket => {
    let rest = Buffer.alloc(0);
    let may = false;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.on('data', chunk => {
      try {
        const found = readCommands(Buffer.concat([rest, chunk]));
        rest = Buffer.from(found.rest);
        for (const words of found.commands) may = answer(socket, words, may);
        if (rest.length > MOST) socket.destroy();
      } catch {
        // A stranger: whoever may come speaks the protocol.
        socket.destroy();
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', error =>
      reject(
        new BkpError('usage', `no server can listen on ${address}: ${error.message}`, {
          next: '`listen:` has to be an address of this host',
        }),
      ),
    );
    server.listen(0, address, resolve);
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound ? bound.port : 0,
    state: () => state,
    failure: () => failure,
    left: () => left,
    offset: () => offset,
    close: () =>
      new Promise(resolve => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
