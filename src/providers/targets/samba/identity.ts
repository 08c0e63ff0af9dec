import type { Known } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { Look } from './look.ts';

/** By what a domain is told from every other: a domain created anew under the same name has another SID and GUID. */
export const identityOf = ({ sid, guid, realm, netbios }: Look): Record<string, string> => ({
  domainSid: sid,
  domainGuid: guid,
  realm,
  netbios,
});

/** Backups of another domain among those known; undefined = none. */
export function foreign(identity: Readonly<Record<string, string>>, known: readonly Known[]): Readonly<Record<string, string>> | undefined {
  const last = known.at(-1)?.manifest.identity;
  const same = last === undefined || (last['domainSid'] === identity['domainSid'] && last['domainGuid'] === identity['domainGuid']);
  return same ? undefined : last;
}

/** @throws BkpError('refused') when the newest backup is of another domain and nobody said that this is meant */
export function refuseForeign(name: string, look: Look, known: readonly Known[], newLineage: boolean): void {
  const other = newLineage ? undefined : foreign(identityOf(look), known);
  if (!other) return;
  throw new BkpError(
    'refused',
    `samba/${name}: the stores hold backups of domain ${other['realm']} (${other['domainSid']}), and this is ${look.realm} (${look.sid})`,
    {
      next: ['check `server:`, `smbConf:` and `where:`', `if it was created anew on purpose: bkp backup samba ${name} --new-lineage`],
    },
  );
}
