import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Locked {
  integrity?: string;
}

/** A package URL: the scope's sign is written as %40. Source: the purl specification, type npm. */
const purlOf = (name: string, version: string): string => `pkg:npm/${name.replace('@', '%40')}@${version}`;

/** `sha512-BASE64` of a lock file as CycloneDX has it: the algorithm's name and hex digits. */
function hashOf(integrity: string): { alg: string; content: string } {
  const [algorithm, digest] = integrity.split(/-(.*)/);
  return { alg: algorithm!.toUpperCase().replace('SHA', 'SHA-'), content: Buffer.from(digest!, 'base64').toString('hex') };
}

function componentOf(dir: string, locked: Readonly<Record<string, Locked>>) {
  const { name, version, license } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  const integrity = locked[dir.replaceAll('\\', '/')]?.integrity;
  return {
    type: 'library',
    'bom-ref': purlOf(name, version),
    name,
    version,
    purl: purlOf(name, version),
    licenses: [/[ ()]/.test(license) ? { expression: license } : { license: { id: license } }],
    ...(integrity ? { hashes: [hashOf(integrity)] } : {}),
  };
}

/**
 * The bill of materials of what a bundle carries, in CycloneDX 1.5 JSON, without a date or a serial number: the same bundle has the
 * same one.
 * @param dirs of the packages, relative to the root as the lock file names them
 * @param version of bkp
 */
export function sbomOf(dirs: readonly string[], version: string): string {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Locked> };
  // A package that lies in two places is one.
  const components = new Map(dirs.map(dir => componentOf(dir, packages)).map(one => [one.purl, one]));
  const bom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: { type: 'application', 'bom-ref': purlOf('bkp', version), name: 'bkp', version, purl: purlOf('bkp', version) } },
    components: [...components.values()],
  };
  return `${JSON.stringify(bom, undefined, 2)}\n`;
}
