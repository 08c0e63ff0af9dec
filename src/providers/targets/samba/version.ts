import { BkpError } from '../../../core/errors.ts';
import type { Tools } from './tools.ts';

const parts = (version: string): [number, number] => {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(version) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0)];
};

/** Whether one version of Samba is older than another, by major and minor number. */
export function isOlder(version: string, than: string): boolean {
  const [[major, minor], [otherMajor, otherMinor]] = [parts(version), parts(than)];
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

export const versionOf = async ({ site, path }: Tools): Promise<string> =>
  /\d+\.\d+\S*/.exec((await site.text({ file: path, args: ['--version'] })).stdout)?.[0] ?? 'unknown';

/** An older Samba may not read what a newer one wrote. @throws BkpError('refused') */
export async function refuseOlder(tools: Tools, wanted: string | undefined): Promise<void> {
  const version = await versionOf(tools);
  if (wanted === undefined || !isOlder(version, wanted)) return;
  throw new BkpError('refused', `samba-tool on ${tools.site.name} is ${version}, and the backup is of Samba ${wanted}`, {
    next: 'install that version or a newer one',
  });
}
