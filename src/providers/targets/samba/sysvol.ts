import { once } from 'node:events';
import { createGunzip } from 'node:zlib';
import { BkpError, sentence } from '../../../core/errors.ts';
import { pasted } from '../../../core/shell.ts';
import { ExtendedScan } from './extended.ts';

/** How much a sysvol holds. `policies` = directories of group policies. */
export interface SysvolCount {
  files: number;
  policies: number;
}

/** Permissions lie beside each file and directory under its name and this (samba/ntacls.py). */
const PERMISSIONS = '.NTACL';

/** What of a sysvol is no file and no directory, in words; samba-tool's offline backup fails on each, or waits on it for ever (4.17). */
export function linksTold(sysvol: { links: readonly string[] } | null): string | undefined {
  const links = sysvol?.links ?? [];
  return links.length === 0 ? undefined : `sysvol has ${links.length} symbolic link(s), pipes or sockets, the first: ${links[0]}`;
}

/** Samba replicates the directory between DCs and sysvol not: a second DC often has none. @param held how many the directory has */
export function policiesTold(held: number, { policies }: Pick<SysvolCount, 'policies'>): string | undefined {
  if (policies >= held) return undefined;
  return `the directory has ${held} group policies, and sysvol ${policies === 0 ? 'none of them' : `the files of ${policies}`}`;
}

export const MEND_POLICIES =
  'is sysvol mounted? Samba does not replicate it: copy it from the DC that has it, or back up that one; samba-tool gpo listall shows the policies';

/** What of a sysvol was there in the last good backup and is all gone, in words, as where it is not mounted. */
export function sysvolGone(before: SysvolCount | undefined, now: SysvolCount): string | undefined {
  const [gone] = (['files', 'policies'] as const).filter(key => before && before[key] > 0 && now[key] === 0);
  return gone && `sysvol has no ${gone} at all, and the backup before has ${before?.[gone]}: is it mounted?`;
}

/** What is done about them. */
export const mendLinks = ({ sysvol }: { sysvol: string | null }): string[] => [
  `on the DC: find ${pasted(sysvol ?? '/var/lib/samba/sysvol')} ! -type f ! -type d; put in place of each what it leads to`,
  'or back up over the network, where a link is what it leads to: `mode: online` with `user:` and `password:`',
];

const POLICY = /(?:^|\/)Policies\/\{[0-9A-Fa-f-]{36}\}$/;

/** Counts what is in a sysvol.tar.gz while it passes; keeps none of it. */
export class SysvolScan {
  readonly #gunzip = createGunzip();
  readonly #scan: ExtendedScan;
  readonly #ended: Promise<void>;
  #count: SysvolCount = { files: 0, policies: 0 };
  /** Files and directories of which the permissions are there. */
  #permissions = 0;
  #entries = 0;
  #failed: unknown;

  constructor() {
    this.#scan = new ExtendedScan(({ name, type }) => this.#member(name.replace(/\/$/, ''), type));
    this.#ended = this.#read().catch(error => {
      this.#failed ??= error;
    });
  }

  #member(name: string, type: string): void {
    if (type !== '0' && type !== '5') return;
    if (name.endsWith(PERMISSIONS)) {
      this.#permissions += 1;
      return;
    }
    this.#entries += 1;
    if (type === '0') this.#count.files += 1;
    else if (POLICY.test(name)) this.#count.policies += 1;
  }

  async #read(): Promise<void> {
    for await (const chunk of this.#gunzip) this.#scan.push(chunk as Buffer);
  }

  /** Takes a copy of the bytes. */
  push(bytes: Uint8Array): void {
    if (this.#failed === undefined) this.#gunzip.write(Buffer.from(bytes));
  }

  /** Waits until not much is left to be counted. */
  async drained(): Promise<void> {
    if (this.#gunzip.writableNeedDrain && !this.#gunzip.destroyed) await Promise.race([once(this.#gunzip, 'drain'), this.#ended]);
  }

  /** Lets go of it before its end. */
  stop = (): void => void this.#gunzip.destroy();

  /**
   * After the last byte.
   * @returns what is in it, and of how many files and directories the permissions are missing
   * @throws BkpError('failed') when it is no whole archive
   */
  async end(): Promise<SysvolCount & { bare: number }> {
    this.#gunzip.end();
    await this.#ended;
    const why = this.#failed ?? (this.#scan.ended ? undefined : new Error('its end is missing'));
    if (why !== undefined) throw new BkpError('failed', `sysvol.tar.gz in the backup is not whole: ${sentence(why)}`, { cause: why });
    return { ...this.#count, bare: Math.max(0, this.#entries - this.#permissions) };
  }
}
