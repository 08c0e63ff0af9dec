import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type Running, run, start } from './child.ts';
import { guarded } from './guard.ts';
import { tempDir } from './temp.ts';
import { freePort, waitFor } from './wait.ts';

/** A real sshd on loopback that lets in whoever runs the tests, by a key of its own. */
export interface Sshd {
  settings: { host: string; port: number; user: string; identityFile: string; knownHosts: string };
  stop(): Promise<void>;
}

const key = (file: string) => run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);

export async function startSshd(): Promise<Sshd> {
  const dir = tempDir();
  const port = await freePort();
  await Promise.all([key(join(dir, 'host')), key(join(dir, 'user'))]);
  const { stdout: publicKey } = await run('ssh-keygen', ['-y', '-f', join(dir, 'user')]);
  const { stdout: hostKey } = await run('ssh-keygen', ['-y', '-f', join(dir, 'host')]);
  writeFileSync(join(dir, 'authorized'), publicKey, { mode: 0o600 });
  writeFileSync(join(dir, 'known'), `[127.0.0.1]:${port} ${hostKey}`);
  const settings = {
    Port: port,
    ListenAddress: '127.0.0.1',
    HostKey: join(dir, 'host'),
    AuthorizedKeysFile: join(dir, 'authorized'),
    PidFile: 'none',
    StrictModes: 'no',
    UsePAM: 'no',
    PasswordAuthentication: 'no',
    PermitRootLogin: 'prohibit-password',
  };
  writeFileSync(
    join(dir, 'config'),
    Object.entries(settings)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(''),
  );
  // Where sshd goes without rights; Debian makes it when the service starts.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const server: Running = start('/usr/sbin/sshd', ['-D', '-e', '-f', join(dir, 'config')]);
  guarded.addPid(server.pid);
  await waitFor(() => /Server listening/.test(server.output().stderr), 'sshd listening').catch(error => {
    throw new Error(`sshd did not start: ${server.output().stderr}`, { cause: error });
  });
  return {
    settings: { host: '127.0.0.1', port, user: userInfo().username, identityFile: join(dir, 'user'), knownHosts: join(dir, 'known') },
    async stop() {
      server.kill('SIGTERM');
      await server.ended;
      guarded.dropPid(server.pid);
    },
  };
}
