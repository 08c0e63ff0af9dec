import { isIP } from 'node:net';
import type { Site } from '../../../core/contracts.ts';
import type { Look } from './look.ts';

/** Addresses that say nothing elsewhere: DCs of Debian often call themselves 127.0.1.1. */
const isLoopback = (address: string): boolean => /^127\.|^::1$|^fe80:/i.test(address);

/** What the resolver there makes of a host name; nothing when it does not know. */
async function addressesOf(site: Site, host: string): Promise<string[]> {
  const { stdout } = await site.text({ file: 'getent', args: ['ahosts', host] }, { timeoutMs: 10_000 }).catch(() => ({ stdout: '' }));
  const found = stdout.split('\n').map(line => line.split(/\s+/)[0] ?? '');
  return [...new Set(found)].filter(address => isIP(address) !== 0 && !isLoopback(address));
}

/** DCs with their addresses of today: a restore looks whether one of them still answers. */
export const withAddresses = (site: Site, dcs: Look['dcs']): Promise<(Look['dcs'][number] & { addresses: string[] })[]> =>
  Promise.all(dcs.map(async dc => ({ ...dc, addresses: dc.host === null ? [] : await addressesOf(site, dc.host) })));

/** Files of the database on a DC that have a second name (SA03), which BIND9_DLZ gives them. Found by `find`, which every Debian has. */
export async function hardLinks(site: Site, { private: own }: Look['paths']): Promise<string[]> {
  const args = [`${own}/sam.ldb`, `${own}/sam.ldb.d`, '-type', 'f', '-links', '+1'];
  const { stdout } = await site.text({ file: 'find', args });
  return stdout
    .split('\n')
    .filter(Boolean)
    .map(path => path.slice(own.length + 1))
    .sort();
}

/** Files of a DC that its backup must have too, by their names in it. */
export async function wantedFiles(site: Site, { private: own }: Look['paths']): Promise<string[]> {
  const secrets = (await site.names(own)).filter(name => /^secrets\.(?:ldb|tdb|keytab)$|^encrypted_secrets\.key$/.test(name));
  const partitions = (await site.names(`${own}/sam.ldb.d`)).filter(name => name.endsWith('.ldb'));
  return [...secrets.map(name => `private/${name}`), ...partitions.map(name => `private/sam.ldb.d/${name}`)];
}
