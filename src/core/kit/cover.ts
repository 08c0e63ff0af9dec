import type { KitMeta } from './types.ts';

export interface CoverInput {
  meta: KitMeta;
  /** Name of the sealed file. */
  file: string;
  /** SHA-256 of the sealed file in hex. */
  sha256: string;
  /** Recipients for whom it was sealed; empty = a passphrase. */
  recipients: readonly string[];
  /** Who has the passphrase or the identity, in the words of whoever made it. */
  holder?: string | undefined;
  maxAge: string;
  /** The sealed text, its lines numbered. */
  lines: readonly string[];
}

const openedBy = ({ recipients, holder }: CoverInput): string[] => [
  ...(recipients.length === 0 ? ['  a passphrase'] : recipients.map(each => `  the identity of ${each}`)),
  ...(holder ? [`  kept by: ${holder}`] : []),
];

/** What goes to paper in the clear: what this is, how it opens, and the sealed text itself. No secret is in it. */
export function cover(input: CoverInput): string {
  const { meta, file, sha256, maxAge, lines, recipients } = input;
  return [
    `DISASTER KIT of environment ${meta.env}`,
    '',
    `  made     ${meta.madeAt.slice(0, 16).replace('T', ' ')} UTC by ${meta.tool}; to be made anew after ${maxAge}`,
    `  kit      ${meta.id}`,
    `  SHA-256  ${sha256}`,
    `           of ${file}: sha256sum ${file}`,
    '',
    'With it a clean machine restores all backups. Whoever opens it reads all of them.',
    '',
    'It opens with:',
    ...openedBy(input),
    '',
    'How, with bkp (this page as a text will do as well):',
    `  bkp kit open ${file} --to /root/bkp-kit${recipients.length > 0 ? ' --identity IDENTITY-FILE' : ''}`,
    'Without bkp:',
    '  umask 077; mkdir /root/bkp-kit',
    `  age -d ${recipients.length > 0 ? '-i IDENTITY-FILE ' : ''}${file} | tar -xz -C /root/bkp-kit`,
    'Then read /root/bkp-kit/RUNBOOK.md.',
    '',
    'If only this paper is left: scan or type the numbered lines into a file, numbers and checks included. `bkp kit open`',
    'names each line that is not as it was printed. Without bkp, the age file is made of it by:',
    '  (echo "-----BEGIN AGE ENCRYPTED FILE-----"',
    "   sed -nE 's/^[0-9]{3,} ([^ ]+) [0-9a-f]{8}$/\\1/p' SCANNED.txt",
    `   echo "-----END AGE ENCRYPTED FILE-----") > ${file}`,
    '',
    ...lines,
    '',
  ].join('\n');
}
