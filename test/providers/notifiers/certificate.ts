import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, tempDir } from '../../real/rig/index.ts';

/** A certificate for localhost that nobody knows, its own authority. */
export async function certificate(): Promise<{ key: string; cert: string }> {
  const [key, cert] = ['key.pem', 'cert.pem'].map(name => join(tempDir(), name)) as [string, string];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '2'];
  await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    key,
    '-out',
    cert,
    ...subject,
  ]);
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}
