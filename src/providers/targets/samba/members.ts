import { posix } from 'node:path';
import { BkpError } from '../../../core/errors.ts';
import type { Member } from '../../../flow/tarScan.ts';
import { ExtendedScan } from './extended.ts';
import { type SysvolCount, SysvolScan } from './sysvol.ts';

const FILE = '0';
const DIRECTORY = '5';
const SYMLINK = '2';
const HARD_LINK = '1';

/** `./private/sam.ldb` and `private/sam.ldb` are the same; an online backup has the first, an offline one the second. */
const plain = (name: string): string => name.replace(/^(?:\.\/)+/, '').replace(/\/$/, '');

/** What an archive of samba-tool holds. */
export interface Contents {
  members: ReadonlyMap<string, Member>;
  /** Of the contents, bytes. */
  bytes: number;
  sysvol: SysvolCount & { bare: number };
}

/** Follows the plain tar of a domain backup: what is in it, and how much its sysvol holds. Refuses what leads out of the archive. */
export class DomainScan {
  readonly #members = new Map<string, Member>();
  readonly #sysvol = new SysvolScan();
  readonly #scan: ExtendedScan;
  #within = false;

  constructor() {
    this.#scan = new ExtendedScan(
      member => this.#member(member),
      bytes => this.#within && this.#sysvol.push(bytes),
    );
  }

  #member(member: Member): void {
    const name = plain(member.name);
    if (member.name.startsWith('/') || name.split('/').includes('..'))
      throw new BkpError('verifyFailed', `the backup has a member "${member.name}", which leads out of it`);
    this.#within = name === 'sysvol.tar.gz' && member.type === FILE;
    this.#members.set(name, { ...member, name });
  }

  push = (chunk: Buffer): void => this.#scan.push(chunk);

  /** Waits until the count has come after. */
  drained = (): Promise<void> => this.#sysvol.drained();

  stop = (): void => this.#sysvol.stop();

  /** After the last byte. @throws BkpError('failed') when the archive or its sysvol is cut short */
  async end(): Promise<Contents> {
    if (!this.#scan.ended) throw new BkpError('failed', 'the archive of samba-tool is cut short: its end mark is missing');
    if (!this.#members.has('sysvol.tar.gz'))
      throw new BkpError('failed', 'the backup lacks sysvol.tar.gz, without which no policy comes back');
    const bytes = [...this.#members.values()].reduce((sum, member) => sum + member.bytes, 0);
    return { members: this.#members, bytes, sysvol: await this.#sysvol.end() };
  }
}

/** Files of the database by the DNS name of the domain, as a DC names them. */
const partitions = (realm: string): string[] => {
  const domain = realm
    .toUpperCase()
    .split('.')
    .map(part => `DC=${part}`)
    .join(',');
  return [domain, `CN=CONFIGURATION,${domain}`, `CN=SCHEMA,CN=CONFIGURATION,${domain}`].map(dn => `private/sam.ldb.d/${dn}.ldb`);
};

/** Without these no domain comes back. Keys of secrets are those of Samba ≥ 4.8. */
const always = (realm: string): string[] => [
  'backup.txt',
  'sysvol.tar.gz',
  'etc/smb.conf',
  'private/sam.ldb',
  'private/secrets.ldb',
  ...partitions(realm),
];

/** Where a link of the archive leads, within it; undefined = out of it. */
function targetOf({ name, type, link }: Member): string | undefined {
  const to = type === HARD_LINK ? posix.normalize(plain(link)) : posix.normalize(posix.join(posix.dirname(name), link));
  return link.startsWith('/') || to.startsWith('../') ? undefined : to;
}

/**
 * A name as it is called by DN. Samba writes the file of a partition with all but letters and digits escaped as soon as its DN has
 * anything besides letters, digits, `=` and `,`, so for each domain with a hyphen in its DNS name (tried on 4.17).
 */
function unescaped(name: string): string {
  const [, escaped] = /^private\/sam\.ldb\.d\/(.*)$/.exec(name) ?? [];
  return escaped === undefined
    ? name
    : `private/sam.ldb.d/${escaped.replace(/%([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))}`;
}

/**
 * Whether a backup has all that a restore needs (SA11). A link is as good as what it leads to.
 * @param wanted files that the source has and the backup must have too, by their names in it
 * @returns links to what is not in it, and harm nothing that is needed, in words
 * @throws BkpError('failed') naming what is missing, empty, or only a link to what is not there
 */
export function assertWhole({ members }: Contents, realm: string, wanted: readonly string[]): string[] {
  const byName = new Map([...members].map(([name, member]) => [unescaped(name).toLowerCase(), member]));
  const missing = [...new Set([...always(realm), ...wanted])].flatMap(name => {
    const member = byName.get(unescaped(name).toLowerCase());
    if (!member) return [name];
    if (member.type === SYMLINK || member.type === HARD_LINK) {
      const to = targetOf(member);
      return to !== undefined && members.get(to)?.type === FILE ? [] : [`${name} (only a link to ${member.link})`];
    }
    return member.bytes === 0 ? [`${name} (empty)`] : [];
  });
  if (missing.length > 0)
    throw new BkpError('failed', `the backup lacks ${missing.join(', ')}: no domain would come back from it`, {
      next: 'look at the directories of that DC; bkp doctor samba',
    });
  return [...members.values()]
    .filter(member => member.type === SYMLINK || member.type === HARD_LINK)
    .filter(member => !members.has(targetOf(member) ?? member.link))
    .map(({ name, link }) => `${name} is a link to ${link}, which is not in the backup`);
}

/** What samba and a restore only read, so that a link out of the archive does no harm. */
const ONLY_READ = /^(?:private\/krb5\.conf|private\/tls\/[^/]+|etc\/(?!smb\.conf(?:\.orig)?$)[^/]+)$/;

function isHarmless(member: Member, names: readonly string[]): boolean {
  if (member.type === FILE || member.type === DIRECTORY) return true;
  if (member.type !== SYMLINK && member.type !== HARD_LINK) return false;
  if (names.some(name => name.startsWith(`${member.name}/`))) return false;
  return targetOf(member) !== undefined || (member.type === SYMLINK && ONLY_READ.test(member.name));
}

/** Refuses what would write elsewhere when it is unpacked or restored: links that lead out, devices. @throws BkpError('verifyFailed') */
export function assertInside({ members }: Contents): void {
  const names = [...members.keys()];
  const bad = [...members.values()].find(member => !isHarmless(member, names));
  if (bad)
    throw new BkpError(
      'verifyFailed',
      `${bad.name} in the backup is ${bad.link ? `a link to ${bad.link}` : `of type "${bad.type}"`}: a restore would write there`,
      {
        next: `make it a file on the DC`,
      },
    );
}
