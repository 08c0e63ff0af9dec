import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { BkpError } from '../../../core/errors.ts';
import { type Context, called } from './config.ts';

/**
 * Keeps a second run for the same entry and source on this host away. A socket without a file: the kernel takes it back however this process ends.
 * @returns what gives it free
 * @throws BkpError('conflict') while another run is under way
 */
export async function exclusive(ctx: Context): Promise<() => Promise<void>> {
  const { where, endpoints, k3s } = ctx.config;
  const place = createHash('sha256')
    .update(JSON.stringify([ctx.base, where, endpoints, k3s.dataDir]))
    .digest('hex');
  const server = createServer(socket => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === 'EADDRINUSE'
          ? new BkpError('conflict', `${called(ctx)}: a backup of it is running on this host already`, { next: 'wait for its end', cause })
          : cause,
      ),
    );
    server.listen({ path: `\0bkp-etcd-${place}` }, resolve);
  });
  server.unref();
  return () => new Promise(resolve => server.close(() => resolve()));
}
