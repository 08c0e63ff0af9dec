import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './child.ts';
import { tempDir } from './temp.ts';

/** A key and its certificate: where they are, and their text. */
export interface Certificate {
  files: { key: string; cert: string };
  pem: { key: string; cert: string };
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

const at = (dir: string): Certificate['files'] => ({ key: join(dir, 'key.pem'), cert: join(dir, 'cert.pem') });
const read = (files: Certificate['files']): Certificate => ({
  files,
  pem: { key: readFileSync(files.key, 'utf8'), cert: readFileSync(files.cert, 'utf8') },
});

/** A certificate for two days that nobody knows, its own authority. @param of whom it is for, e.g. `DNS:localhost`, where that is to be looked at */
export async function selfSigned(name: string, of?: string): Promise<Certificate> {
  const files = at(tempDir());
  const names = of === undefined ? [] : ['-addext', `subjectAltName=${of}`];
  await run('openssl', [
    'req',
    '-x509',
    ...NEW_KEY,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    ...names,
    '-keyout',
    files.key,
    '-out',
    files.cert,
  ]);
  return read(files);
}

/** A certificate that an authority made. @param more its days, two unless said, and lines of x509v3_config(5) */
export async function signedBy(ca: Certificate, name: string, more: { days?: number; extensions?: string } = {}): Promise<Certificate> {
  const dir = tempDir();
  const files = at(dir);
  const [request, extensions] = [join(dir, 'csr'), join(dir, 'ext')];
  writeFileSync(extensions, more.extensions ?? '');
  await run('openssl', ['req', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', files.key, '-out', request]);
  const by = ['-CA', ca.files.cert, '-CAkey', ca.files.key, '-CAcreateserial', '-extfile', extensions, '-days', String(more.days ?? 2)];
  await run('openssl', ['x509', '-req', '-in', request, ...by, '-out', files.cert]);
  return read(files);
}
