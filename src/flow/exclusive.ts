import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { BkpError } from '../core/errors.ts';

/**
 * Keeps a second run of something on the same thing on this host away. A socket without a file: the kernel takes it back however this process ends.
 * @param thing what tells one from all others
 * @param said the sentence while another run is under way
 * @returns what gives it free
 * @throws BkpError('conflict') with that sentence
 */
export async function exclusive(kind: string, thing: readonly unknown[], said: string): Promise<() => Promise<void>> {
  const place = createHash('sha256').update(JSON.stringify(thing)).digest('hex');
  const server = createServer(socket => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(cause.code === 'EADDRINUSE' ? new BkpError('conflict', said, { next: 'wait for its end', cause }) : cause),
    );
    server.listen({ path: `\0bkp-${kind}-${place}` }, resolve);
  });
  server.unref();
  return () => new Promise(resolve => server.close(() => resolve()));
}
