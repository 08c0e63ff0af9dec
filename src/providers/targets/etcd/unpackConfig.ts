import { readFile } from 'node:fs/promises';
import { BkpError } from '../../../core/errors.ts';
import { checkMember, type Member, TarScan } from '../../../flow/tarScan.ts';
import type { Context } from './config.ts';

/** Types of members in which GNU tar writes the name, or what a link leads to, of the next one: those of more than 100 bytes. */
const LONG: Readonly<Record<string, 'name' | 'link'>> = { L: 'name', K: 'link' };

/** tar follows symbolic links, and writes what it has met before, by one of them or under a second name, as a link to that: as safe as a file. */
function check(member: Member): void {
  checkMember(member.type === '1' ? { ...member, type: '0' } : member);
  if (member.type === '1') checkMember({ ...member, name: member.link, type: '0' });
}

/** @throws BkpError('verifyFailed') for a member that leads out, and an archive that is cut short */
function checkAll(tar: Buffer): void {
  let long: { name?: string; link?: string } = {};
  let last: Member | undefined;
  const scan: TarScan = new TarScan(
    member => {
      const field = LONG[last?.type ?? ''];
      if (field) long[field] = scan.kept.get(last!.name)!.toString('utf8').replace(/\0.*$/s, '');
      last = member;
      if (LONG[member.type]) return;
      check({ ...member, ...long });
      long = {};
    },
    ({ type }) => LONG[type] !== undefined,
  );
  scan.push(tar);
  if (!scan.ended) throw new BkpError('verifyFailed', 'config.tar is cut short: its end mark is missing');
}

/**
 * Unpacks the configuration into a directory of its own, for a person to look at: nothing of a running system is written over.
 * @throws BkpError('verifyFailed') for a member that leads out
 */
export async function unpackConfig(ctx: Context, tar: string, into: string): Promise<void> {
  checkAll(await readFile(tar));
  await ctx.run.text({ file: 'tar', args: ['-x', '-p', '--no-same-owner', '-f', tar, '-C', into] }, { signal: ctx.signal });
}
