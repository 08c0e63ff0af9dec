import { isIPv4 } from 'node:net';
import type { RestoreRequest } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { Baseline } from './baseline.ts';

/** A site to which every domain is provisioned; a restore without `--site` makes it where it is missing (samba/netcmd/domain_backup.py). */
export const DEFAULT_SITE = 'Default-First-Site-Name';

/** What a NetBIOS name of a computer may be here; Samba takes longer ones without a word, and they do not work. */
const NETBIOS = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,13}[A-Za-z0-9])?$/;

/** How the DC is called that a restore makes. */
export interface NewDc {
  name: string;
  hostIp?: string;
  site?: string;
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

function checkName(name: string, taken: readonly string[], netbios: string): void {
  const next = `--server-name with another name than ${[...taken, netbios].join(', ')}`;
  if (!NETBIOS.test(name) || /^\d+$/.test(name))
    throw new BkpError(
      'usage',
      `"${name}" is no name for a DC: 1 to 15 letters, digits and hyphens, not digits alone, no hyphen at either end`,
      { next },
    );
  if (taken.some(dc => same(dc, name)))
    throw new BkpError(
      'refused',
      `the domain has a DC ${name}: the restored one needs a new name, since others may still know the old one`,
      { next },
    );
  if (same(name, netbios)) throw new BkpError('refused', `the domain itself is called ${netbios}`, { next });
}

/** @returns undefined for the default */
function checkSite(site: string | undefined, sites: readonly string[]): string | undefined {
  const next = `--site with one of: ${sites.join(', ')}`;
  const wanted = site ?? DEFAULT_SITE;
  const found = sites.find(each => same(each, wanted));
  if (found) return site === undefined ? undefined : found;
  if (site === undefined)
    throw new BkpError('refused', `the domain has no site ${DEFAULT_SITE}, and nothing says into which the DC goes`, { next });
  throw new BkpError('refused', `the domain has no site ${site}`, { next });
}

/**
 * What the person, or the entry, says of the new DC.
 * @param site of the entry
 * @throws BkpError('usage' | 'refused') for a name or site that Samba would take and not work with, or refuse halfway
 */
export function newDc(
  options: NonNullable<RestoreRequest['options']>,
  { dcs, sites }: Pick<Baseline, 'dcs' | 'sites'>,
  netbios: string,
  site: string | undefined,
): NewDc {
  const text = (name: string): string | undefined => (typeof options[name] === 'string' ? options[name] : undefined);
  const name = text('server-name');
  if (name === undefined)
    throw new BkpError('usage', 'a restored domain comes up on a DC of a new name, and nothing says which', {
      next: '--server-name NEWDC',
    });
  checkName(
    name,
    dcs.map(dc => dc.name),
    netbios,
  );
  const hostIp = text('host-ip');
  if (hostIp !== undefined && !isIPv4(hostIp))
    throw new BkpError('usage', `"${hostIp}" is no IPv4 address`, { next: '--host-ip 10.0.0.5' });
  const chosen = checkSite(text('site') ?? site, sites);
  return { name, ...(hostIp === undefined ? {} : { hostIp }), ...(chosen === undefined ? {} : { site: chosen }) };
}

/** A name for a copy that lives as long as a proof. */
export function throwAway(taken: readonly string[]): string {
  for (let n = 0; ; n += 1) {
    const name = `BKPPROOF${n === 0 ? '' : n}`;
    if (!taken.some(dc => same(dc, name))) return name;
  }
}
