import { createServer, type Server, type Socket } from 'node:net';

/** The exit code by which a restore_command of ours says that the archive ends there. */
export const END_OF_WAL = 74;
const STOP = 255;

/** Answers at a Unix socket where a file of WAL lies that is asked for by name: `0 <path>`, `74` at the proven end, `255 <why>` for trouble. */
export class Wire {
  readonly #server: Server;
  readonly #links = new Set<Socket>();

  /** @param lookUp yields a path, or undefined at the end of the WAL */
  constructor(lookUp: (name: string) => Promise<string | undefined>) {
    this.#server = createServer({ allowHalfOpen: true }, link => {
      this.#links.add(link);
      link.on('close', () => this.#links.delete(link));
      answer(link, lookUp);
    });
  }

  listen = (socket: string): Promise<void> =>
    new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(socket, () => resolve());
    });

  /** Whoever still waits for an answer gets none. */
  close = (): Promise<void> =>
    new Promise(resolve => {
      this.#server.close(() => resolve());
      for (const link of this.#links) link.destroy();
    });
}

function answer(link: Socket, lookUp: (name: string) => Promise<string | undefined>): void {
  let asked = '';
  link.setEncoding('utf8');
  link.on('error', () => link.destroy());
  // Somebody only wanted to know whether anybody is here.
  link.on('end', () => asked.includes('\n') || link.destroy());
  link.on('data', chunk => {
    asked += chunk;
    if (!asked.includes('\n')) return;
    lookUp(asked.trim()).then(
      path => link.end(path === undefined ? `${END_OF_WAL}` : `0 ${path}`),
      error => link.end(`${STOP} ${error instanceof Error ? error.message.replaceAll('\n', ' ') : String(error)}`),
    );
  });
}
